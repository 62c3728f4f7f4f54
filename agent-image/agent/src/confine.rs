//! What the agent gives up for ever before it does anything a model asked for.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::kernel_filter::{self, FilterError};
use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, getgid, getuid, set_dumpable_behavior, umask};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// A user and its group, written `UID:GID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: Uid,
    pub gid: Gid,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    #[error("--user {asked} needs root; this process runs as {own}")]
    OtherUser { asked: User, own: User },
    #[error("cannot {what}: {source}")]
    Kernel { what: &'static str, source: Errno },
    #[error(transparent)]
    Filter(#[from] FilterError),
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("write it as UID:GID, two numbers")]
    Shape,
    #[error("{0}")]
    Number(#[from] ParseIntError),
    #[error("{} is no id: the kernel reads it as \"leave it\"", u32::MAX)]
    Reserved,
}

/// Becomes `user` without groups and capabilities when running as root; in every case no program started from here can
/// gain privileges, no other process of the same user can read this one's memory or environment, and system calls are
/// filtered.
///
/// Ids, `no_new_privs` and the filter belong to a thread on Linux: call this before there is a second one.
pub(crate) fn confine(user: Option<User>) -> Result<(), ConfineError> {
    let own = User { uid: getuid(), gid: getgid() };
    match user {
        Some(user) if own.uid.is_root() => become_user(user)?,
        Some(asked) if asked != own => return Err(ConfineError::OtherUser { asked, own }),
        Some(_) | None => {}
    }
    if user.is_some() {
        // The group of the files is the server's way to read them.
        umask(Mode::WOTH);
    }
    // Last: changing the user sets the behaviour back.
    step("make the process non-dumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("set no_new_privs", set_no_new_privs(true))?;
    Ok(kernel_filter::apply()?)
}

fn become_user(user: User) -> Result<(), ConfineError> {
    empty_bounding_set()?;
    step("leave the supplementary groups", set_thread_groups(&[]))?;
    step("set the group", set_thread_res_gid(user.gid, user.gid, user.gid))?;
    step("set the user", set_thread_res_uid(user.uid, user.uid, user.uid))?;
    // Leaving root empties the effective and permitted sets; the inheritable one would stay.
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("drop the capabilities", set_capabilities(None, none))
}

fn empty_bounding_set() -> Result<(), ConfineError> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {
                let what = "drop a capability from the bounding set (the container needs CAP_SETPCAP for that)";
                step(what, remove_capability_from_bounding_set(capability))?;
            }
            Ok(false) => {}
            // The kernel knows no capability from here on.
            Err(Errno::INVAL) => break,
            Err(source) => {
                return Err(ConfineError::Kernel { what: "read the bounding set", source });
            }
        }
    }
    Ok(())
}

fn step(what: &'static str, result: Result<(), Errno>) -> Result<(), ConfineError> {
    result.map_err(|source| ConfineError::Kernel { what, source })
}

impl FromStr for User {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        let (uid, gid) = text.split_once(':').ok_or(UserError::Shape)?;
        let (uid, gid): (u32, u32) = (uid.parse()?, gid.parse()?);
        if uid == u32::MAX || gid == u32::MAX {
            return Err(UserError::Reserved);
        }
        Ok(Self { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid.as_raw(), self.gid.as_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_two_numbers() {
        assert_eq!("12345:678".parse::<User>().unwrap().to_string(), "12345:678");
        for wrong in ["", "12345", "a:b", "1:2:3", "-1:0", "4294967295:0"] {
            assert!(wrong.parse::<User>().is_err(), "{wrong}");
        }
    }
}
