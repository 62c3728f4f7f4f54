//! The server's proxy as programs look for it: in the environment, and in files for those that read no variable or are started
//! without them (`sudo`, `env -i`). What an image brings along is never changed.

use std::env;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Whether what is started here may use the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    None,
    Named,
}

const URL: &str = "http://127.0.0.1:3128";
const APT: &str = "Acquire::http::Proxy \"http://127.0.0.1:3128\";\nAcquire::https::Proxy \"http://127.0.0.1:3128\";\n";
const PIP: &str = "[global]\nproxy = http://127.0.0.1:3128\n";
const NPM: &str = "proxy=http://127.0.0.1:3128\nhttps-proxy=http://127.0.0.1:3128\n";
const CARGO: &str = "[http]\nproxy = \"http://127.0.0.1:3128\"\n";
const GRADLE: &str = "systemProp.http.proxyHost=127.0.0.1\nsystemProp.http.proxyPort=3128\n\
    systemProp.https.proxyHost=127.0.0.1\nsystemProp.https.proxyPort=3128\n\
    systemProp.http.nonProxyHosts=localhost|127.*|[::1]\n";
/// An entry for each protocol of a repository: which of the two is asked depends on Maven's version.
const MAVEN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0">
  <proxies>
    <proxy>
      <id>atelier-http</id>
      <active>true</active>
      <protocol>http</protocol>
      <host>127.0.0.1</host>
      <port>3128</port>
      <nonProxyHosts>localhost|127.*|[::1]</nonProxyHosts>
    </proxy>
    <proxy>
      <id>atelier-https</id>
      <active>true</active>
      <protocol>https</protocol>
      <host>127.0.0.1</host>
      <port>3128</port>
      <nonProxyHosts>localhost|127.*|[::1]</nonProxyHosts>
    </proxy>
  </proxies>
</settings>
"#;

impl Proxy {
    pub(crate) fn variables(self) -> Vec<(&'static str, String)> {
        if self == Self::None {
            return Vec::new();
        }
        let names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
        let mut variables: Vec<_> = names.map(|name| (name, URL.to_owned())).into();
        variables.extend(["no_proxy", "NO_PROXY"].map(|name| (name, "localhost,127.0.0.1,::1".to_owned())));
        // Java reads no other variable; Node asks to be asked.
        let java =
            "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128";
        variables.push(("JAVA_TOOL_OPTIONS", java.to_owned()));
        variables.push(("NODE_USE_ENV_PROXY", "1".to_owned()));
        variables
    }

    /// Writes the files where there are none yet. One that cannot be written leaves its tool with the environment.
    pub(crate) fn write_files(self, home: &Path) {
        if self == Self::None {
            return;
        }
        let folder = |variable: &str, name: &str| env::var_os(variable).map_or_else(|| home.join(name), PathBuf::from);
        let cargo = folder("CARGO_HOME", ".cargo");
        let files = [
            (home.join(".config/pip/pip.conf"), PIP),
            (home.join(".npmrc"), NPM),
            (home.join(".m2/settings.xml"), MAVEN),
            (folder("GRADLE_USER_HOME", ".gradle").join("gradle.properties"), GRADLE),
        ];
        for (path, content) in files {
            write_new(&path, content);
        }
        // Cargo reads the older name too, and that one first.
        if !cargo.join("config").exists() {
            write_new(&cargo.join("config.toml"), CARGO);
        }
        let apt = Path::new("/etc/apt/apt.conf.d");
        if apt.is_dir() {
            write_new(&apt.join("90atelier-proxy"), APT);
        }
    }
}

fn write_new(path: &Path, content: &str) {
    if let Some(folder) = path.parent() {
        let _ = DirBuilder::new().recursive(true).mode(0o755).create(folder);
    }
    if let Ok(mut file) = File::create_new(path) {
        let _ = file.write_all(content.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_written() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".npmrc"), "registry=https://npm.example.org\n").unwrap();
        write_new(&home.path().join(".npmrc"), NPM);
        write_new(&home.path().join(".m2/settings.xml"), MAVEN);
        let read = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
        assert_eq!(read(".npmrc"), "registry=https://npm.example.org\n");
        assert!(read(".m2/settings.xml").contains("<protocol>https</protocol>"));
        assert!(Proxy::None.variables().is_empty());
    }
}
