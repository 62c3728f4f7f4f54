//! Which commands may run, and whether a shell reads them.
//!
//! The policies spare a task accidents and noise; the boundary is the sandbox, which has no network, no capabilities
//! and no secrets.

use std::path::{Component, Path, PathBuf};

use super::installers::find_installer;
use crate::settings::{CommandPolicy, CommandSettings, PackageInstalls};
use crate::workspace::{RelativePath, Workspace, WorkspaceError};

/// What a command without a shell must not contain.
const OPERATORS: [&str; 8] = [";", "&&", "|", ">", "<", "`", "$(", "&"];
/// What the strict policy refuses as words.
const FORBIDDEN_WORDS: [&str; 6] = ["sudo", "yum", "apt", "pip", "curl", "wget"];
/// A command that may run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Permitted {
    /// For `sh -c`.
    ByShell(String),
    /// Program and arguments, as they are.
    Directly(Vec<String>),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the command is empty")]
    Empty,
    #[error("no shell reads commands here, so \"{0}\" is not available; run one plain command per call")]
    Operator(&'static str),
    #[error("the word \"{0}\" is forbidden by the strict command policy")]
    Word(&'static str),
    #[error("the quotes of the command are not closed")]
    Quotes,
    #[error("\"{program}\" is not on the list of allowed programs: {allowed}")]
    NotListed { program: String, allowed: String },
    #[error("\"{program}\" leads to {real}, which is not on the list of allowed programs: {allowed}")]
    LeadsElsewhere { program: String, real: String, allowed: String },
    #[error("\"{program}\" is no script that may run: {reason}")]
    NoScript { program: String, reason: String },
    #[error("\"{0}\" installs packages, which is forbidden here (CI is set); work with what is installed")]
    Installer(String),
}

/// Judges a command that would start in `workdir`.
pub(super) fn judge(
    settings: &CommandSettings,
    workspace: &Workspace,
    command: &str,
    workdir: &RelativePath,
) -> Result<Permitted, Refusal> {
    if command.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    if settings.packages == PackageInstalls::Forbidden
        && let Some(installer) = find_installer(command)
    {
        return Err(Refusal::Installer(installer));
    }
    match &settings.policy {
        CommandPolicy::Shell => Ok(Permitted::ByShell(command.to_owned())),
        CommandPolicy::Strict => {
            let words = split(command)?;
            let forbidden = FORBIDDEN_WORDS.into_iter().find(|word| words.iter().any(|given| is_word(given, word)));
            forbidden.map_or(Ok(Permitted::Directly(words)), |word| Err(Refusal::Word(word)))
        }
        CommandPolicy::Allowlist(allowed) => {
            let mut words = split(command)?;
            let program = words.remove(0);
            let program = if program.contains('/') {
                script(workspace, &program, workdir, allowed)?
            } else if allowed.contains(&program) {
                program
            } else {
                return Err(Refusal::NotListed { program, allowed: allowed.join(", ") });
            };
            words.insert(0, program);
            Ok(Permitted::Directly(words))
        }
    }
}

fn split(command: &str) -> Result<Vec<String>, Refusal> {
    // Also inside quotes: a command that looks like a pipe and is none would only mislead.
    if let Some(operator) = OPERATORS.into_iter().find(|operator| command.contains(operator)) {
        return Err(Refusal::Operator(operator));
    }
    let words = shlex::split(command).ok_or(Refusal::Quotes)?;
    if words.is_empty() { Err(Refusal::Empty) } else { Ok(words) }
}

/// `sudo`, `/usr/bin/sudo`, and `sudo` in `sh -c "sudo ls"`.
fn is_word(given: &str, word: &str) -> bool {
    given.split_whitespace().any(|part| part == word || Path::new(part).file_name().is_some_and(|name| name == word))
}

/// A bare name means the program on the PATH and never a file of the code; a path means the file that it leads to beneath
/// the code directory, from wherever it is called. Returns where that file is, so that nothing else is run.
fn script(workspace: &Workspace, program: &str, workdir: &RelativePath, allowed: &[String]) -> Result<String, Refusal> {
    let outside = |error: WorkspaceError| Refusal::NoScript { program: program.to_owned(), reason: error.to_string() };
    let path = if Path::new(program).is_absolute() {
        workspace.locate(program).map_err(outside)?
    } else {
        workdir.join(program)
    };
    let real = workspace.real_path(&path).map_err(outside)?;
    let mut scripts = allowed.iter().filter(|entry| entry.contains('/')).flat_map(|entry| workspace.locate(entry));
    if scripts.any(|entry| normal(entry.as_path()) == real.as_path()) {
        return Ok(workspace.absolute(&real).display().to_string());
    }
    let allowed = allowed.join(", ");
    let (program, real) = (program.to_owned(), real.as_path().display().to_string());
    Err(if normal(path.as_path()) == Path::new(&real) {
        Refusal::NotListed { program, allowed }
    } else {
        Refusal::LeadsElsewhere { program, real, allowed }
    })
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some_and(|name| name != "..") => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn judged(policy: CommandPolicy, packages: PackageInstalls, command: &str) -> Result<Permitted, Refusal> {
        let code = tempfile::tempdir().unwrap();
        let second = Duration::from_secs(1);
        let settings = CommandSettings { timeout: second, max_timeout: second, max_output: 1, policy, packages };
        judge(&settings, &Workspace::open(code.path()).unwrap(), command, &RelativePath::root())
    }

    fn strict(command: &str) -> Result<Permitted, Refusal> {
        judged(CommandPolicy::Strict, PackageInstalls::Allowed, command)
    }

    #[test]
    fn strict_refuses_operators_and_words_and_names_them() {
        for (command, operator) in [
            ("a; b", ";"),
            ("a && b", "&&"),
            ("a | b", "|"),
            ("a > b", ">"),
            ("a < b", "<"),
            ("a `b`", "`"),
            ("a $(b)", "$("),
            ("a &", "&"),
        ] {
            assert_eq!(strict(command), Err(Refusal::Operator(operator)), "{command}");
        }
        for command in ["sudo ls", "/usr/bin/sudo ls", "env sudo ls", "sh -c 'sudo ls'"] {
            assert_eq!(strict(command), Err(Refusal::Word("sudo")), "{command}");
        }
        assert_eq!(strict("grep 'a b' c"), Ok(Permitted::Directly(vec!["grep".into(), "a b".into(), "c".into()])));
        assert_eq!(
            strict("echo pipes apt-cache"),
            Ok(Permitted::Directly(vec!["echo".into(), "pipes".into(), "apt-cache".into()]))
        );
        assert_eq!(strict("echo 'open"), Err(Refusal::Quotes));
        assert_eq!(strict(" "), Err(Refusal::Empty));
    }

    #[test]
    fn in_ci_nothing_is_installed_under_any_policy() {
        for policy in
            [CommandPolicy::Shell, CommandPolicy::Strict, CommandPolicy::Allowlist(vec!["npm".into(), "cargo".into()])]
        {
            let refused = judged(policy.clone(), PackageInstalls::Forbidden, "npm ci");
            assert_eq!(refused, Err(Refusal::Installer("npm ci".to_owned())), "{policy:?}");
            assert!(judged(policy.clone(), PackageInstalls::Forbidden, "cargo test").is_ok(), "{policy:?}");
            assert!(judged(policy, PackageInstalls::Allowed, "npm ci").is_ok());
        }
    }
}
