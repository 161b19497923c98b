//! The files of a sealed commit: the header, the description of the plain commit, and one file for
//! each plain one.

use git2::{ObjectType, Oid};

use super::Mirror;
use super::error::{MirrorError, SealedFault};
use crate::encryption::Token;
use crate::store::objects::name::object_name;
use crate::store::objects::tree::find_entry;

/// File with the description of the plain commit.
pub(super) const DESCRIPTION: &str = "commit";

/// The content of a plain commit, and the name of its branch.
pub(super) struct Description {
    pub(super) branch: String,
    pub(super) commit: Vec<u8>,
}

impl Description {
    /// Returns the name of the plain commit.
    pub(super) fn id(&self) -> Oid {
        object_name(ObjectType::Commit, &self.commit)
    }

    /// Returns the tree and the parents that the commit names.
    pub(super) fn links(&self) -> Option<(Oid, Vec<Oid>)> {
        let mut tree = None;
        let mut parents = Vec::new();
        let mut lines = self.commit.split(|byte| *byte == b'\n');
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let line = std::str::from_utf8(line).unwrap_or_default();
            match line.split_once(' ') {
                Some(("tree", id)) => tree = Some(Oid::from_str(id).ok()?),
                Some(("parent", id)) => parents.push(Oid::from_str(id).ok()?),
                _ => {}
            }
        }
        Some((tree?, parents))
    }
}

/// Returns the path of a file in the tree of a sealed commit.
pub(super) fn sealed_path(token: Token) -> String {
    let name = token.to_string();
    let (directory, rest) = name.split_at(2);
    format!("{directory}/{rest}")
}

/// Returns the token of a file in the tree of a sealed commit.
pub(super) fn token_at(path: &str) -> Option<Token> {
    let (directory, rest) = path.split_once('/')?;
    let token = Token::parse(&format!("{directory}{rest}"))?;
    (sealed_path(token) == path).then_some(token)
}

impl Mirror {
    /// Unseals the description of the plain commit of a sealed one.
    pub(super) fn description(
        &mut self,
        sealed: Oid,
        place: Token,
    ) -> Result<Description, MirrorError> {
        let tree = self.repository.repo.find_commit(sealed)?.tree_id();
        let entry = find_entry(self.objects(), Some(tree), DESCRIPTION)?;
        let refused = || MirrorError::refused(sealed, SealedFault::Description);
        let entry = entry.filter(|entry| entry.is_file()).ok_or_else(refused)?;
        let bytes = self.objects().read(ObjectType::Blob, entry.oid)?;
        let unsealed = self.sealer.unseal(place, &bytes).map_err(|_| refused())?;
        Ok(Description {
            branch: String::from_utf8(unsealed.label).map_err(|_| refused())?,
            commit: unsealed.text,
        })
    }
}
