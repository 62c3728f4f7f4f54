//! Which changes wait for a person's yes before they are pushed: those that act by themselves once they are in a repository,
//! give rights, or hide what others see of a change.

const LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

/// Folders whose files forges, hooks, editors and agents obey.
const FOLDERS: &[&str] = &[
    ".github",
    ".gitlab",
    ".gitea",
    ".forgejo",
    ".circleci",
    ".woodpecker",
    ".buildkite",
    ".husky",
    ".githooks",
    ".devcontainer",
    ".vscode",
    ".claude",
    ".cursor",
];

/// Files that do, in whatever folder they lie.
const FILES: &[&str] = &[
    ".gitmodules",
    ".gitattributes",
    "codeowners",
    "jenkinsfile",
    ".gitlab-ci.yml",
    ".pre-commit-config.yaml",
    ".travis.yml",
    ".drone.yml",
    ".woodpecker.yml",
    ".woodpecker.yaml",
    ".cirrus.yml",
    ".appveyor.yml",
    "appveyor.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "lefthook.yml",
    "lefthook.yaml",
    ".lefthook.yml",
];

/// A path that differs, with its mode in git's terms; none where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: Vec<u8>,
    pub(crate) before: Option<u32>,
    pub(crate) after: Option<u32>,
}

impl Change {
    /// Names are compared without regard to case: some systems make no difference, and so do some forges.
    pub(crate) fn needs_a_yes(&self) -> bool {
        let path = String::from_utf8_lossy(&self.path).to_lowercase();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let is_obeyed = folders.split('/').any(|folder| FOLDERS.contains(&folder))
            || FILES.contains(&name)
            || name.ends_with(".gitlab-ci.yml")
            || name.starts_with("jenkinsfile.");
        let modes = [self.before, self.after];
        is_obeyed || modes.contains(&Some(SUBMODULE)) || self.after == Some(LINK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r23_what_acts_by_itself_needs_a_yes() {
        let changed = |path: &str, before, after| Change { path: path.into(), before, after }.needs_a_yes();
        let file = Some(0o100_644);
        for path in [
            ".github/workflows/ci.yml",
            ".GitHub/CODEOWNERS",
            "docs/CODEOWNERS",
            ".gitlab-ci.yml",
            "ci/build.gitlab-ci.yml",
            ".gitea/workflows/a.yaml",
            ".forgejo/x",
            ".husky/pre-commit",
            ".githooks/post-merge",
            "sub/.circleci/config.yml",
            ".pre-commit-config.yaml",
            ".gitmodules",
            "Jenkinsfile",
            "ci/Jenkinsfile.release",
            ".gitattributes",
        ] {
            assert!(changed(path, file, file) && changed(path, None, file) && changed(path, file, None), "{path}");
        }
        for path in ["src/main.rs", "github/workflows/ci.yml", "docs/jenkins.md", "CODEOWNERS.md", ".gitignore"] {
            assert!(!changed(path, None, file), "{path}");
        }
        assert!(changed("vendor/lib", None, Some(SUBMODULE)) && changed("vendor/lib", Some(SUBMODULE), None));
        assert!(changed("link", None, Some(LINK)) && changed("link", Some(LINK), Some(LINK)));
        assert!(!changed("link", Some(LINK), None) && !changed("link", Some(LINK), file));
    }
}
