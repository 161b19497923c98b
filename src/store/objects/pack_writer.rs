//! Writes a pack (git manual, `gitformat-pack`).
//!
//! Objects are compressed on all cores and appended as they get ready. Must not search
//! for existing objects.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use git2::{ObjectType, Oid};
use libdeflater::{CompressionLvl, Compressor};
use sha1::{Digest, Sha1};

use super::pack_index::{PackedObject, encode_pack_index};
use crate::domain::hex::to_hex;
use crate::store::error::StoreError;
use crate::sys::{fail_point::fail_point, fs::sync_dir, temp_file::TempFile};

/// How much the objects of a pack are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As git does by default.
    Usual,
    /// Three times as fast.
    Fast,
    /// Not at all: sealed data cannot be compressed.
    Nothing,
}

impl Compression {
    fn level(self) -> CompressionLvl {
        let level = match self {
            Self::Usual => 6,
            Self::Fast => 1,
            Self::Nothing => 0,
        };
        CompressionLvl::new(level).expect("the level is valid")
    }
}

/// Maximum number of threads that compress.
const MAX_THREADS: usize = 8;

/// Maximum number of objects waiting to be compressed, of at most 32 MiB, usually of 256 KiB.
const MAX_QUEUED: usize = 8;

/// A pack under construction. It is deleted if it is dropped unfinished.
pub(super) struct PackWriter {
    dir: PathBuf,
    compressors: Compressors,
    out: Arc<Mutex<PackFile>>,
}

struct PackFile {
    file: BufWriter<TempFile>,
    length: u64,
    objects: Vec<PackedObject>,
}

/// Threads that compress objects and append them.
struct Compressors {
    /// `None` after the last job.
    jobs: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<io::Result<()>>>,
}

struct Job {
    kind: ObjectType,
    oid: Oid,
    data: Vec<u8>,
}

impl PackWriter {
    /// Begins a pack in this directory of packs.
    pub(super) fn create(dir: &Path, compression: Compression) -> Result<Self, StoreError> {
        let begin = || {
            std::fs::create_dir_all(dir)?;
            let file = temporary_file(dir, "tmp_pack_")?;
            let mut pack = PackFile {
                file: BufWriter::with_capacity(1 << 20, file),
                length: 0,
                objects: Vec::new(),
            };
            pack.write(&pack_header(0))?;
            Ok(pack)
        };
        let pack = begin().map_err(|source| StoreError::io("create a pack in", dir, source))?;
        let out = Arc::new(Mutex::new(pack));
        Ok(Self {
            dir: dir.to_owned(),
            compressors: Compressors::start(&out, compression.level()),
            out,
        })
    }

    /// Adds an object that the pack does not have yet.
    pub(super) fn write(
        &mut self,
        kind: ObjectType,
        oid: Oid,
        data: Vec<u8>,
    ) -> Result<(), StoreError> {
        let jobs = self.compressors.jobs.as_ref();
        if jobs.is_some_and(|jobs| jobs.send(Job { kind, oid, data }).is_ok()) {
            return Ok(());
        }
        // All workers have ended, and one of them returns the reason.
        let unknown = || Err(io::Error::other("the pack could not be written"));
        let reason = self.compressors.join().and_then(|()| unknown());
        reason.map_err(|source| StoreError::io("write a pack in", &self.dir, source))
    }

    /// Makes the pack visible to git, after it is flushed to the disk.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let dir = self.dir.clone();
        self.complete()
            .map_err(|source| StoreError::io("write a pack in", &dir, source))
    }

    fn complete(mut self) -> io::Result<()> {
        self.compressors.join()?;
        let out = Arc::into_inner(self.out).expect("the workers have dropped their handles");
        let pack = out
            .into_inner()
            .expect("no worker panicked while it held the lock");
        let file = pack.file.into_inner()?;
        let mut objects = pack.objects;
        objects.sort_by_key(|object| object.oid);
        let checksum = complete_pack(file.as_file(), objects.len())?;
        let mut index = temporary_file(&self.dir, "tmp_idx_")?;
        index.write_all(&encode_pack_index(&objects, &checksum))?;
        fail_point("a pack is complete");
        flush_both(file.as_file(), index.as_file())?;
        fail_point("a pack and its index are on the disk");

        let path = self.dir.join(format!("pack-{}", to_hex(&checksum)));
        file.persist(&path.with_extension("pack"))?;
        fail_point("a pack has its name");
        // The index comes last, because it makes the pack visible.
        index.persist(&path.with_extension("idx"))?;
        fail_point("the index of a pack has its name");
        sync_dir(&self.dir)
    }
}

impl PackFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

impl Compressors {
    fn start(out: &Arc<Mutex<PackFile>>, level: CompressionLvl) -> Self {
        let (jobs, queue) = sync_channel(MAX_QUEUED);
        let queue = Arc::new(Mutex::new(queue));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = (0..cores.min(MAX_THREADS))
            .map(|_| {
                let (queue, out) = (Arc::clone(&queue), Arc::clone(out));
                std::thread::spawn(move || compress_jobs(&queue, &out, level))
            })
            .collect();
        Self {
            jobs: Some(jobs),
            workers,
        }
    }

    /// Waits for the end of all jobs and returns the first error.
    fn join(&mut self) -> io::Result<()> {
        drop(self.jobs.take());
        let mut result = Ok(());
        for worker in self.workers.drain(..) {
            let panicked = |_| Err(io::Error::other("a compression thread panicked"));
            result = result.and(worker.join().unwrap_or_else(panicked));
        }
        result
    }
}

/// Ends the threads, so that none outlives a pack that was dropped: the last owner of its file
/// deletes it.
impl Drop for Compressors {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

fn compress_jobs(
    queue: &Mutex<Receiver<Job>>,
    out: &Mutex<PackFile>,
    level: CompressionLvl,
) -> io::Result<()> {
    let mut compressor = Compressor::new(level);
    loop {
        let job = queue.lock().map_err(poisoned)?.recv();
        let Ok(job) = job else { return Ok(()) };
        append(out, job.oid, &encode_entry(&mut compressor, &job)?)?;
    }
}

fn poisoned<T>(_: T) -> io::Error {
    io::Error::other("another compression thread panicked")
}

fn append(out: &Mutex<PackFile>, oid: Oid, entry: &[u8]) -> io::Result<()> {
    let crc = crc32fast::hash(entry);
    let mut out = out.lock().map_err(poisoned)?;
    let offset = out.length;
    out.write(entry)?;
    out.objects.push(PackedObject { oid, offset, crc });
    Ok(())
}

fn encode_entry(compressor: &mut Compressor, job: &Job) -> io::Result<Vec<u8>> {
    let mut entry = entry_header(job.kind, job.data.len());
    let header = entry.len();
    entry.resize(header + compressor.zlib_compress_bound(job.data.len()), 0);
    let written = compressor
        .zlib_compress(&job.data, &mut entry[header..])
        .map_err(io::Error::other)?;
    entry.truncate(header + written);
    Ok(entry)
}

/// Returns kind and size in their variable-length form. The compressed bytes follow it.
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

/// Writes the final header, and the checksum of everything, which is also the name of the pack.
fn complete_pack(mut file: &File, objects: usize) -> io::Result<[u8; 20]> {
    let objects = u32::try_from(objects).map_err(io::Error::other)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&pack_header(objects))?;
    file.seek(SeekFrom::Start(0))?;

    let mut hasher = Sha1::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
    }
    let checksum: [u8; 20] = hasher.finalize().into();
    file.seek(SeekFrom::End(0))?;
    file.write_all(&checksum)?;
    Ok(checksum)
}

/// Creates a temporary file. Git recognises its name, so that `git gc` removes it after a crash.
fn temporary_file(dir: &Path, prefix: &str) -> io::Result<TempFile> {
    TempFile::create_in(dir, prefix, "")
}

/// Flushes two files to the disk at the same time.
fn flush_both(one: &File, other: &File) -> io::Result<()> {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| one.sync_all());
        let second = other.sync_all();
        first.join().expect("flushing does not panic").and(second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_writer_dropped_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut pack = PackWriter::create(dir.path(), Compression::Usual).unwrap();
        for n in 0..8 {
            let oid = Oid::from_bytes(&[n; 20]).unwrap();
            pack.write(ObjectType::Blob, oid, vec![n; 4 << 20]).unwrap();
        }
        drop(pack);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
