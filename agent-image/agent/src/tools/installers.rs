//! Finds the command that installs packages in a shell line, roughly: it is a reminder to the model, not a wall.

/// Installers and the words after them that install; without words, any use does.
const INSTALLERS: [(&str, &[&str]); 28] = [
    ("apt", &[]),
    ("apt-get", &[]),
    ("aptitude", &[]),
    ("yum", &[]),
    ("dnf", &[]),
    ("apk", &[]),
    ("zypper", &[]),
    ("pacman", &[]),
    ("brew", &["install"]),
    ("conda", &["install", "create"]),
    ("mamba", &["install", "create"]),
    ("pip", &["install", "download"]),
    ("pip3", &["install", "download"]),
    ("pipx", &["install", "run"]),
    ("uvx", &[]),
    ("uv", &["pip", "add", "sync", "tool"]),
    ("poetry", &["install", "add"]),
    ("npm", &["install", "i", "in", "ci", "add", "update", "install-test", "it"]),
    ("pnpm", &["install", "i", "add", "update", "dlx"]),
    ("yarn", &["install", "add", "dlx"]),
    ("bun", &["install", "i", "add"]),
    ("bunx", &[]),
    ("cargo", &["install", "binstall"]),
    ("go", &["install", "get"]),
    ("gem", &["install", "i"]),
    ("bundle", &["install", "add"]),
    ("bundler", &["install", "add"]),
    ("composer", &["install", "require", "update"]),
];
/// Programs that run the program named after them, and words of the shell before one.
const WRAPPERS: [&str; 23] = [
    "sudo", "doas", "env", "exec", "command", "builtin", "time", "timeout", "nohup", "setsid", "xargs", "nice",
    "ionice", "stdbuf", "then", "do", "else", "elif", "if", "while", "until", "!", "{",
];
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];
/// Options of the installers above whose value is the next word.
const WITH_VALUE: [&str; 12] = [
    "--prefix",
    "-C",
    "--dir",
    "--cwd",
    "-w",
    "--workspace",
    "--filter",
    "-F",
    "--directory",
    "--project",
    "--python",
    "-p",
];
/// `sh -c "bash -c '…'"` deeper than that is not looked into.
const DEEPEST: usize = 4;

/// Names the first installation that the line asks for.
pub(super) fn find_installer(command: &str) -> Option<String> {
    find_within(command, 0)
}

fn find_within(line: &str, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    simple_commands(&without_documents(line)).iter().find_map(|words| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (0..words.len()).filter(|&at| leads(&words[..at])).find_map(|at| judge(&words[at..], depth))
    })
}

/// Whether what stands before a word leaves it the program that runs.
fn leads(before: &[&str]) -> bool {
    let wraps = |word: &&str| WRAPPERS.contains(&base(word));
    let option = |word: &&str| word.starts_with('-') || word.starts_with(|first: char| first.is_ascii_digit());
    match before {
        [.., "-exec" | "-execdir" | "-ok"] => true,
        // `sudo -u root apt`
        [first, value_of, _] if wraps(first) && option(value_of) => true,
        _ => {
            let wrapped = before.iter().any(wraps);
            before.iter().all(|word| wraps(word) || word.contains('=') || (wrapped && option(word)))
        }
    }
}

/// Looks at one program with its arguments.
fn judge(words: &[&str], depth: usize) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let program = base(program);
    if SHELLS.contains(&program) {
        let script = arguments.iter().position(|word| word.starts_with('-') && word.ends_with('c'))?;
        return find_within(arguments.get(script + 1)?, depth + 1);
    }
    if program == "eval" {
        return find_within(&arguments.join(" "), depth + 1);
    }
    if program.starts_with("python") || program == "py" {
        let module = arguments.iter().position(|word| *word == "-m")?;
        return judge(arguments.get(module + 1..)?, depth);
    }
    let flag = |flags: &[&str]| arguments.iter().take_while(|word| **word != "--").any(|word| flags.contains(word));
    if (program == "npx" || (program == "npm" && first(arguments) == Some("exec")))
        && flag(&["-y", "--yes", "-p", "--package"])
    {
        return Some(format!("{program} with --yes or --package"));
    }
    // pip3.12 is pip3.
    let name = program.split('.').next().unwrap_or(program);
    let (name, installing) = INSTALLERS.into_iter().find(|(installer, _)| *installer == name)?;
    match first(arguments) {
        _ if installing.is_empty() => Some(name.to_owned()),
        // Bare `yarn` installs.
        None if name == "yarn" && !flag(&["--version", "-v", "--help", "-h"]) => Some(name.to_owned()),
        Some(first) if installing.contains(&first) => Some(format!("{name} {first}")),
        _ => None,
    }
}

/// The first argument that is neither an option nor the value of one.
fn first<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if WITH_VALUE.contains(argument) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return Some(argument);
        }
    }
    None
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The words of each simple command. Quotes hold words together; `$(…)` and backticks begin commands of their own even
/// inside double quotes.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![String::new()]];
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let substitution = character == '`' || (character == '$' && characters.peek() == Some(&'('));
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), _) if substitution => {
                // What follows is judged as if unquoted: words of a text that follow it are no command's first.
                quote = None;
                commands.push(vec![String::new()]);
            }
            (None, ';' | '&' | '|' | '\n' | '(' | ')') => commands.push(vec![String::new()]),
            (None, '\\') => push(&mut commands, characters.next().filter(|next| *next != '\n')),
            (None, character) if character.is_whitespace() => {
                if let Some(command) = commands.last_mut() {
                    command.push(String::new());
                }
            }
            (_, character) => push(&mut commands, Some(character)),
        }
    }
    for command in &mut commands {
        command.retain(|word| !word.is_empty());
    }
    commands
}

fn push(commands: &mut [Vec<String>], character: Option<char>) {
    if let Some(word) = commands.last_mut().and_then(|command| command.last_mut()) {
        word.extend(character);
    }
}

/// A here-document is text, unless a shell reads it.
fn without_documents(line: &str) -> String {
    let mut kept = String::new();
    let mut lines = line.lines();
    while let Some(line) = lines.next() {
        kept.push_str(line);
        kept.push('\n');
        let Some((before, word)) = line.split_once("<<").filter(|(_, word)| !word.starts_with('<')) else { continue };
        let word: String = word
            .trim_start_matches(['-', ' ', '\'', '"', '\\'])
            .chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect();
        let read_by_shell = before.split([' ', '|', ';', '&']).any(|word| SHELLS.contains(&base(word)));
        if !word.is_empty() && !read_by_shell {
            lines.by_ref().find(|line| line.trim() == word);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installations_are_found_in_their_hiding_places() {
        for (command, found) in [
            ("pip install x", "pip install"),
            ("pip3.12 install x", "pip3 install"),
            ("apt-get -y install x", "apt-get"),
            ("/usr/bin/apt update", "apt"),
            ("npm i", "npm i"),
            ("npm --prefix web install", "npm install"),
            ("pnpm --filter app add x", "pnpm add"),
            ("yarn", "yarn"),
            ("npx -y create-app", "npx with --yes or --package"),
            ("npm exec --yes -- tsc", "npm with --yes or --package"),
            ("python3 -m pip install x", "pip install"),
            ("python3.12 -I -m pip --quiet install x", "pip install"),
            ("uv pip install x", "uv pip"),
            ("FOO=1 cargo install x", "cargo install"),
            ("cd sub && sudo -E apt install x", "apt"),
            ("sudo -u root apt install x", "apt"),
            ("timeout 60 pip install x", "pip install"),
            ("cat list | xargs -n 1 pip install", "pip install"),
            ("if true; then pip install x; fi", "pip install"),
            ("(pip install x)", "pip install"),
            ("echo \"$(pip install x)\"", "pip install"),
            ("bash -c 'npm install'", "npm install"),
            ("bash -lc \"cd web && npm ci\"", "npm ci"),
            ("sh -c 'bash -c \"pip install x\"'", "pip install"),
            ("eval 'pip install x'", "pip install"),
            ("find . -name x -exec pip install {} +", "pip install"),
            ("bash <<EOF\npip install x\nEOF", "pip install"),
            ("p\\ip install x", "pip install"),
        ] {
            assert_eq!(find_installer(command).as_deref(), Some(found), "{command}");
        }
    }

    #[test]
    fn what_only_looks_like_an_installation_is_left_alone() {
        for command in [
            "npm test",
            "npm run install-hooks",
            "npx tsc --noEmit",
            "yarn test",
            "yarn --version",
            "cargo build",
            "pip list",
            "grep apt file",
            "grep -rn 'pip install' README.md",
            "echo 'first; pip install x'",
            "cat > README.md <<'EOF'\npip install x\nEOF\nls",
            "git commit -m \"npm install is gone\"",
            "go build ./...",
            "python3 setup.py install",
            "make install",
            "ls # pip install x",
        ] {
            assert_eq!(find_installer(command), None, "{command}");
        }
    }
}
