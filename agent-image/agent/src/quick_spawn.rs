//! Starting a program without a copy of this process.
//!
//! The standard library does so (`posix_spawn`) where it finds these two functions of glibc, which it looks for by weak
//! references; without them it forks, which takes a millisecond longer. A static executable holds only what something refers
//! to strongly: this does.

use std::ffi::{c_char, c_int};

type LibcVersion = unsafe extern "C" fn() -> *const c_char;
type AddChdir = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, *const c_char) -> c_int;

#[used]
static KEPT: (LibcVersion, AddChdir) = (libc::gnu_get_libc_version, libc::posix_spawn_file_actions_addchdir_np);
