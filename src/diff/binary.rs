//! The sizes of a binary file before and after, from what a patch holds of it: each content as a whole, or as a git delta
//! from the other one, which begins with the sizes of both (gitformat-pack). Both are deflated and in git's base 85.

use flate2::{Decompress, FlushDecompress};

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BinaryChange {
    /// The way forward, and the way back.
    contents: Vec<Content>,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Literal(u64),
    /// The beginning of the deflated delta.
    Delta(Vec<u8>),
}

/// In bytes; what cannot be known is none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) before: Option<u64>,
    pub(crate) after: Option<u64>,
}

/// Enough for a delta's first bytes, with the tables of the compression before them.
const MAX_DEFLATED: usize = 1024;

impl BinaryChange {
    /// A line after `GIT binary patch`.
    pub(super) fn read(&mut self, line: &[u8]) {
        if self.contents.len() < 2
            && let Some(content) = Content::parse(line)
        {
            self.contents.push(content);
        } else if let Some(Content::Delta(deflated)) = self.contents.last_mut()
            && deflated.len() < MAX_DEFLATED
        {
            deflated.extend(base_85(line).unwrap_or_default());
        }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let delta = |at: usize| match self.contents.get(at)? {
            Content::Delta(deflated) => delta_sizes(deflated),
            Content::Literal(_) => None,
        };
        let literal = |at: usize| match self.contents.get(at)? {
            Content::Literal(size) => Some(*size),
            Content::Delta(_) => None,
        };
        let (forward, back) = (delta(0), delta(1));
        Sizes {
            before: literal(1).or(forward.map(|(from, _)| from)).or(back.map(|(_, to)| to)),
            after: literal(0).or(forward.map(|(_, to)| to)).or(back.map(|(from, _)| from)),
        }
    }
}

impl Content {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        if let Some(size) = line.strip_prefix("literal ") {
            return size.parse().ok().map(Self::Literal);
        }
        line.strip_prefix("delta ")?.parse::<u64>().ok().map(|_| Self::Delta(Vec::new()))
    }
}

/// A line of at most 52 bytes: how many there are, and five letters for four of them.
fn base_85(line: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let (&first, groups) = line.split_first()?;
    let length = match first {
        b'A'..=b'Z' => first - b'A' + 1,
        b'a'..=b'z' => first - b'a' + 27,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(groups.len());
    for group in groups.chunks(5) {
        let mut digits = group.iter().map(|letter| LETTERS.iter().position(|known| known == letter));
        let value = digits.try_fold(0_u64, |value, digit| Some(value * 85 + digit? as u64))?;
        bytes.extend(u32::try_from(value).ok()?.to_be_bytes());
    }
    bytes.truncate(length.into());
    Some(bytes)
}

/// Of the source and of the target.
fn delta_sizes(deflated: &[u8]) -> Option<(u64, u64)> {
    let mut beginning = [0; 20];
    let mut inflate = Decompress::new(true);
    inflate.decompress(deflated, &mut beginning, FlushDecompress::Sync).ok()?;
    let mut bytes = beginning.iter().take(usize::try_from(inflate.total_out()).ok()?);
    let mut size = || {
        let (mut size, mut shift) = (0_u64, 0);
        loop {
            let byte = *bytes.next()?;
            size |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    };
    Some((size()?, size()?))
}

#[cfg(test)]
mod tests {
    use git2::{DiffFormat, DiffOptions, Repository};

    use super::*;
    use crate::diff::Contents;

    fn sizes(before: &[u8], after: &[u8]) -> (Sizes, bool) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let tree = |bytes: &[u8]| {
            let mut tree = repository.treebuilder(None).unwrap();
            tree.insert("x.bin", repository.blob(bytes).unwrap(), 0o100_644).unwrap();
            repository.find_tree(tree.write().unwrap()).unwrap()
        };
        let mut options = DiffOptions::new();
        options.show_binary(true);
        let (from, to) = (tree(before), tree(after));
        let diff = repository.diff_tree_to_tree(Some(&from), Some(&to), Some(&mut options)).unwrap();
        let mut patch = Vec::new();
        diff.print(DiffFormat::Patch, |_, _, line| {
            patch.extend_from_slice(line.content());
            true
        })
        .unwrap();
        let is_delta = String::from_utf8_lossy(&patch).contains("\ndelta ");
        let contents = Contents::read(&patch[..]).unwrap();
        (contents.files[0].header.binary.as_ref().unwrap().sizes(), is_delta)
    }

    #[test]
    fn sizes_are_known_however_git_writes_the_content() {
        let noise: Vec<u8> = (0..20_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
        let longer = [&noise[..], &[0, 1, 2, 3]].concat();
        let known = |before, after| Sizes { before: Some(before), after: Some(after) };
        assert_eq!(sizes(b"\0short", b"\0other and longer"), (known(6, 17), false));
        assert_eq!(sizes(&noise, &longer), (known(20_000, 20_004), true));
    }

    #[test]
    fn what_is_no_content_has_no_size() {
        let mut change = BinaryChange::default();
        for line in ["delta 12", "z~~~~~~~~~~", "", "literal x", "delta 3", "A"] {
            change.read(line.as_bytes());
        }
        assert_eq!(change.sizes(), Sizes::default());
    }
}
