//! Writing git objects: those of one commit as one pack.
//!
//! A commit of one session is a dozen objects. As one pack they are two files to wait for instead of a dozen, and fill no block each;
//! `git gc` puts many packs together. Owns the encoding of objects and packs (git manual, `gitformat-pack`). Objects are named
//! by the caller's thread at once and compressed on all cores. Nothing is visible to git before [`ObjectWriter::finish`].
//! Must not move refs.

use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use git2::{ObjectType, Oid};
use sha1::{Digest, Sha1};

use super::StoreError;
use crate::sys::fail_point::fail_point;

/// The level that git itself uses by default.
const COMPRESSION_LEVEL: i32 = 6;

/// Raw bytes waiting to be compressed never exceed this many objects (of at most 32 MiB, nearly always 256 KiB).
const QUEUE: usize = 8;

/// Collects new objects. See the module's head.
pub(super) struct ObjectWriter<'repo> {
    repo: &'repo git2::Repository,
    seen: HashSet<Oid>,
    pack: Option<PackWriter>,
}

impl<'repo> ObjectWriter<'repo> {
    pub(super) fn new(repo: &'repo git2::Repository) -> Self {
        Self {
            repo,
            seen: HashSet::new(),
            pack: None,
        }
    }

    /// Takes an object and returns its name. Objects that git already has are not written again.
    pub(super) fn put(&mut self, kind: ObjectType, data: Vec<u8>) -> Result<Oid, StoreError> {
        let oid = object_name(kind, &data);
        if !self.seen.insert(oid)
            || self
                .repo
                .odb()?
                .exists_ext(oid, git2::OdbLookupFlags::NO_REFRESH)
        {
            return Ok(oid);
        }
        let pack = match &mut self.pack {
            Some(pack) => pack,
            empty => {
                let pack = PackWriter::create(&self.repo.path().join("objects/pack"))?;
                fail_point("a pack is begun");
                empty.insert(pack)
            }
        };
        pack.put(kind, oid, data)?;
        Ok(oid)
    }

    /// Makes all objects readable by git. They are on the disk when this returns.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        if let Some(pack) = self.pack {
            pack.finish()?;
            self.repo.odb()?.refresh()?;
        }
        Ok(())
    }
}

/// The name git gives an object: SHA-1 over `<kind> <length>\0<data>`.
pub(super) fn object_name(kind: ObjectType, data: &[u8]) -> Oid {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {}\0", kind.str(), data.len()));
    hasher.update(data);
    Oid::from_bytes(&hasher.finalize()).expect("a SHA-1 digest has the length of an object name")
}

/// One object of a pack under construction.
struct Entry {
    oid: Oid,
    offset: u64,
    crc: u32,
}

struct Job {
    kind: ObjectType,
    oid: Oid,
    data: Vec<u8>,
}

/// A pack whose entries are compressed by worker threads and appended in the order in which they get ready.
struct PackWriter {
    dir: PathBuf,
    /// None until something has to be compressed.
    compressors: Option<Compressors>,
    out: Arc<Mutex<PackFile>>,
}

struct Compressors {
    /// None when there is nothing more to come.
    jobs: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<io::Result<()>>>,
}

struct PackFile {
    file: BufWriter<tempfile::NamedTempFile>,
    length: u64,
    entries: Vec<Entry>,
}

impl PackWriter {
    /// Begins a pack in this directory of packs.
    fn create(dir: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::io("create a pack in", dir, source);
        std::fs::create_dir_all(dir).map_err(io)?;
        let file = temporary_file(dir, "tmp_pack_").map_err(io)?;
        let mut pack = PackFile {
            file: BufWriter::with_capacity(1 << 20, file),
            length: 0,
            entries: Vec::new(),
        };
        pack.write(&pack_header(0)).map_err(io)?;
        Ok(Self {
            dir: dir.to_owned(),
            compressors: None,
            out: Arc::new(Mutex::new(pack)),
        })
    }

    /// Takes an object that it does not have yet.
    fn put(&mut self, kind: ObjectType, oid: Oid, data: Vec<u8>) -> Result<(), StoreError> {
        let compressors = self
            .compressors
            .get_or_insert_with(|| Compressors::start(&self.out));
        if compressors
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(Job { kind, oid, data }).is_ok())
        {
            return Ok(());
        }
        // All workers are gone: one of them holds the reason.
        self.join()?;
        Err(StoreError::io(
            "write a pack in",
            &self.dir,
            io::Error::other("the pack could not be written"),
        ))
    }

    fn join(&mut self) -> Result<(), StoreError> {
        let Some(mut compressors) = self.compressors.take() else {
            return Ok(());
        };
        drop(compressors.jobs.take());
        for worker in compressors.workers.drain(..) {
            let result = worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a compression thread panicked")));
            result.map_err(|source| StoreError::io("write a pack in", &self.dir, source))?;
        }
        Ok(())
    }

    /// Makes the pack visible to git; it is on the disk when this returns.
    fn finish(mut self) -> Result<(), StoreError> {
        self.join()?;
        let io = |source| StoreError::io("write a pack in", &self.dir, source);
        let out =
            Arc::into_inner(self.out).expect("the workers have ended and dropped their handles");
        let PackFile {
            file, mut entries, ..
        } = out
            .into_inner()
            .expect("no worker panicked while it held the lock");
        let file = file.into_inner().map_err(|e| io(e.into_error()))?;
        let checksum = complete_pack(&file, entries.len()).map_err(io)?;
        entries.sort_by_key(|e| e.oid);
        let index = pack_index(&entries, &checksum);
        let stem = self.dir.join(format!("pack-{}", hex(&checksum)));
        let mut index_file = temporary_file(&self.dir, "tmp_idx_").map_err(io)?;
        index_file.write_all(&index).map_err(io)?;
        fail_point("a pack is complete");
        sync_both(&file, &index_file).map_err(io)?;
        fail_point("a pack and its index are on the disk");
        // The index comes last because it makes the pack visible.
        file.persist(stem.with_extension("pack"))
            .map_err(|e| io(e.error))?;
        fail_point("a pack has its name");
        index_file
            .persist(stem.with_extension("idx"))
            .map_err(|e| io(e.error))?;
        fail_point("the index of a pack has its name");
        sync_dir(&self.dir).map_err(io)
    }
}

impl PackFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

impl Compressors {
    fn start(out: &Arc<Mutex<PackFile>>) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let workers = (0..threads)
            .map(|_| spawn_worker(Arc::clone(&queue), Arc::clone(out)))
            .collect();
        Self {
            jobs: Some(jobs),
            workers,
        }
    }
}

/// A pack that is given up is gone before its writer returns: the last who has its file removes it, and none outlives this.
impl Drop for Compressors {
    fn drop(&mut self) {
        drop(self.jobs.take());
        self.workers
            .drain(..)
            .for_each(|worker| drop(worker.join()));
    }
}

fn spawn_worker(
    queue: Arc<Mutex<Receiver<Job>>>,
    out: Arc<Mutex<PackFile>>,
) -> JoinHandle<io::Result<()>> {
    std::thread::spawn(move || {
        let level =
            libdeflater::CompressionLvl::new(COMPRESSION_LEVEL).expect("6 is a valid level");
        let mut compressor = libdeflater::Compressor::new(level);
        loop {
            let job = queue.lock().map_err(poisoned)?.recv();
            let Ok(job) = job else { return Ok(()) };
            append(&out, job.oid, &encode_entry(&mut compressor, &job)?)?;
        }
    })
}

fn poisoned<T>(_: T) -> io::Error {
    io::Error::other("another compression thread panicked")
}

fn append(out: &Mutex<PackFile>, oid: Oid, entry: &[u8]) -> io::Result<()> {
    let crc = crc32fast::hash(entry);
    let mut out = out.lock().map_err(poisoned)?;
    let offset = out.length;
    out.write(entry)?;
    out.entries.push(Entry { oid, offset, crc });
    Ok(())
}

fn encode_entry(compressor: &mut libdeflater::Compressor, job: &Job) -> io::Result<Vec<u8>> {
    let mut entry = entry_header(job.kind, job.data.len());
    let header = entry.len();
    entry.resize(header + compressor.zlib_compress_bound(job.data.len()), 0);
    let written = compressor
        .zlib_compress(&job.data, &mut entry[header..])
        .map_err(io::Error::other)?;
    entry.truncate(header + written);
    Ok(entry)
}

/// Type and size in the variable-length form of `gitformat-pack`; the zlib stream follows.
fn entry_header(kind: ObjectType, mut size: usize) -> Vec<u8> {
    let kind: u8 = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        _ => 3,
    };
    let mut header = Vec::new();
    let mut byte = (kind << 4) | (size & 0x0f) as u8;
    size >>= 4;
    while size > 0 {
        header.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    header.push(byte);
    header
}

fn pack_header(objects: u32) -> [u8; 12] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&objects.to_be_bytes());
    header
}

/// Writes the true header and the checksum of everything, which is also the pack's name.
fn complete_pack(file: &tempfile::NamedTempFile, objects: usize) -> io::Result<[u8; 20]> {
    let objects = u32::try_from(objects).map_err(io::Error::other)?;
    let handle = &mut file.as_file();
    handle.seek(SeekFrom::Start(0))?;
    handle.write_all(&pack_header(objects))?;
    handle.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha1::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = handle.read(&mut block)?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
    }
    let checksum: [u8; 20] = hasher.finalize().into();
    handle.seek(SeekFrom::End(0))?;
    handle.write_all(&checksum)?;
    Ok(checksum)
}

/// A version 2 index (`gitformat-pack`). `entries` are sorted by name.
fn pack_index(entries: &[Entry], pack_checksum: &[u8; 20]) -> Vec<u8> {
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    let mut upto = 0;
    for first in 0..=255u8 {
        while upto < entries.len() && entries[upto].oid.as_bytes()[0] <= first {
            upto += 1;
        }
        index.extend_from_slice(&(upto as u32).to_be_bytes());
    }
    entries
        .iter()
        .for_each(|e| index.extend_from_slice(e.oid.as_bytes()));
    entries
        .iter()
        .for_each(|e| index.extend_from_slice(&e.crc.to_be_bytes()));
    let mut far = Vec::new();
    for entry in entries {
        // Offsets past 2 GiB go to a second table, their position in it marked by the highest bit.
        let small = u32::try_from(entry.offset)
            .ok()
            .filter(|offset| offset >> 31 == 0);
        let word = small.unwrap_or_else(|| {
            far.push(entry.offset);
            (1 << 31) | (far.len() - 1) as u32
        });
        index.extend_from_slice(&word.to_be_bytes());
    }
    far.iter()
        .for_each(|offset| index.extend_from_slice(&offset.to_be_bytes()));
    index.extend_from_slice(pack_checksum);
    let checksum = Sha1::digest(&index);
    index.extend_from_slice(&checksum);
    index
}

/// Named so that `git gc` recognises it as left over after a crash.
fn temporary_file(dir: &Path, prefix: &str) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(prefix).tempfile_in(dir)
}

/// Waits for the disk once for both, as far as it can do two things at a time.
fn sync_both(one: &tempfile::NamedTempFile, other: &tempfile::NamedTempFile) -> io::Result<()> {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| one.as_file().sync_all());
        let second = other.as_file().sync_all();
        first
            .join()
            .expect("waiting for a file does not panic")
            .and(second)
    })
}

/// Waits until the disk has the new names in `dir`, where a directory can be asked for that.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match std::fs::File::open(dir)?.sync_all() {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_writer_dropped_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut pack = PackWriter::create(dir.path()).unwrap();
        for n in 0..8 {
            pack.put(
                ObjectType::Blob,
                Oid::from_bytes(&[n; 20]).unwrap(),
                vec![n; 4 << 20],
            )
            .unwrap();
        }
        drop(pack);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
