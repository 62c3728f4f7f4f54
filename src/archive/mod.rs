//! Zip archives: judged as a whole, unpacked within limits, and packed from a folder.
//!
//! A zip of one top-level folder, as forges and desktops make it, is unpacked without that folder: `setup.sh` then lies
//! at the root of the code. The `__MACOSX` folder that macOS adds beside it holds no code and is left out.

mod directory;
mod error;
#[cfg(test)]
mod fuzz_tests;
mod links;
mod names;
mod pack;
#[cfg(test)]
#[path = "../../tests/it/raw_zip.rs"]
mod raw_zip;
mod stream;
mod tarball;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use error::ArchiveError;
pub(crate) use pack::pack;
pub(crate) use stream::{Packed, PackedKind, stream};
pub(crate) use tarball::{pack_trees, unpack_trees};
pub(crate) use unpack::{UnpackLimits, inspect, unpack};
