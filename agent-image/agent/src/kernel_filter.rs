//! What the kernel still offers to a process without capabilities, and no build or test needs, is taken away: a filter of
//! system calls (seccomp) on this process and everything it starts, for ever and under every container runtime.
//!
//! It is Docker's default profile minus what that allows too much: other families of sockets (`AF_ALG`, `AF_VSOCK`,
//! `AF_PACKET`, …), `io_uring`, new user namespaces, keyrings, a look into other processes. Where Docker's profile is not
//! there at all, the calls that change the machine are refused too.

use std::collections::BTreeMap;

use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Refused whatever the arguments are.
const REFUSED: &[i64] = &[
    // Long a source of holes, and no program depends on them: all fall back to plain calls.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    // Keyrings are not part of any namespace.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Memory and descriptors of other processes.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Into other namespaces, and other views of the file system.
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // The machine.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_nfsservctl,
];

/// What a socket may be of. Netlink is how programs read the list of interfaces.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// A program may trace what it starts itself, as debuggers do; not what runs already.
const PTRACE_OF_OTHERS: [u32; 2] = [libc::PTRACE_ATTACH, libc::PTRACE_SEIZE];

/// Of the type of a socket; above it are flags.
const SOCKET_TYPE: u64 = 0xf;
const NETLINK_ROUTE: u64 = 0;

/// Numbers with this bit are those of the x32 ABI of x86-64, which a kernel may answer like the plain ones.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
/// The only refused call whose number there is another one.
#[cfg(target_arch = "x86_64")]
const X32_PTRACE: i64 = X32 + 521;

#[derive(Debug, thiserror::Error)]
#[error("cannot filter system calls: {0}")]
pub(crate) struct FilterError(#[from] Error);

/// Filters the system calls of this thread and all that it starts. Needs `no_new_privs`, and sets it.
pub(crate) fn apply() -> Result<(), FilterError> {
    // The last one that is put on is asked first, and the strictest answer counts.
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    refused.insert(libc::SYS_ptrace, any_of(PTRACE_OF_OTHERS.map(|request| vec![is(0, request.into())]))?);
    let namespace = || any_of(NAMESPACES.map(|flag| vec![has(0, u64::from(flag.cast_unsigned()))]));
    refused.insert(libc::SYS_unshare, namespace()?);
    refused.insert(libc::SYS_clone, namespace()?);
    put_on(refused, Errno::PERM)?;

    let other_family = || Conditions::from(FAMILIES.map(|family| is_not(0, family)));
    let raw = |family: i32| {
        vec![
            is(0, u64::from(family.cast_unsigned())),
            masked(1, SOCKET_TYPE, u64::from(libc::SOCK_RAW.cast_unsigned())),
        ]
    };
    let other_netlink =
        vec![is(0, u64::from(libc::AF_NETLINK.cast_unsigned())), condition(2, SeccompCmpOp::Ne, NETLINK_ROUTE)];
    let socket = any_of([other_family(), raw(libc::AF_INET), raw(libc::AF_INET6), other_netlink])?;
    let pair = any_of([other_family()])?;
    put_on([(libc::SYS_socket, socket), (libc::SYS_socketpair, pair)].into(), Errno::AFNOSUPPORT)?;

    // Its flags lie in memory, where a filter cannot look. Told that the call does not exist, programs use `clone`.
    put_on([(libc::SYS_clone3, Vec::new())].into(), Errno::NOSYS)
}

fn put_on(mut calls: BTreeMap<i64, Vec<SeccompRule>>, answer: Errno) -> Result<(), FilterError> {
    #[cfg(target_arch = "x86_64")]
    {
        let ptrace = calls.get(&libc::SYS_ptrace).map(|rules| (X32_PTRACE, rules.clone()));
        let x32: Vec<_> = calls.iter().map(|(call, rules)| (call | X32, rules.clone())).chain(ptrace).collect();
        calls.extend(x32);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::from)?;
    let refuse = SeccompAction::Errno(answer.raw_os_error().cast_unsigned());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refuse, architecture).map_err(Error::from)?;
    let program = BpfProgram::try_from(filter).map_err(Error::from)?;
    Ok(seccompiler::apply_filter(&program)?)
}

type Conditions = Vec<Result<SeccompCondition, BackendError>>;

fn any_of<const N: usize>(alternatives: [Conditions; N]) -> Result<Vec<SeccompRule>, FilterError> {
    let rule = |conditions: Conditions| SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?);
    Ok(alternatives.into_iter().map(rule).collect::<Result<_, _>>().map_err(Error::from)?)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, value.cast_unsigned().into())
}

/// All bits of `flag` are set.
fn has(argument: u8, flag: u64) -> Result<SeccompCondition, BackendError> {
    masked(argument, flag, flag)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// The kernel reads the low half of these arguments only, and so does the filter.
fn condition(argument: u8, operation: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Dword, operation, value)
}
