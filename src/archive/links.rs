//! Whether a symbolic link of an archive stays inside, also by way of other links.

use std::collections::{HashMap, VecDeque};

use super::names::Components;

/// What will be at a path once everything is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File,
    Link { target: Vec<u8> },
}

/// As many as Linux follows.
const MAX_HOPS: usize = 40;

/// Walks from the folder of the link at `link` along its target, as the kernel would, and follows the links it meets.
/// True if the walk never rises above the root; what does not exist is walked through like a folder.
pub(super) fn stays_inside(link: &Components, nodes: &HashMap<Components, Node>) -> bool {
    let mut at: Components = Vec::new();
    let mut ahead: VecDeque<Vec<u8>> = link.iter().cloned().collect();
    let mut hops = 0;
    while let Some(component) = ahead.pop_front() {
        match component.as_slice() {
            b"" | b"." => {}
            b".." => {
                if at.pop().is_none() {
                    return false;
                }
            }
            _ => {
                at.push(component);
                if let Some(Node::Link { target }) = nodes.get(&at) {
                    hops += 1;
                    if hops > MAX_HOPS || target.starts_with(b"/") {
                        return false;
                    }
                    at.pop();
                    for component in target.rsplit(|&byte| byte == b'/') {
                        ahead.push_front(component.to_vec());
                    }
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::names::components;

    fn inside(link: &str, links: &[(&str, &str)]) -> bool {
        let node = |(name, target): &(&str, &str)| {
            (components(name.as_bytes()).unwrap(), Node::Link { target: target.as_bytes().to_vec() })
        };
        stays_inside(&components(link.as_bytes()).unwrap(), &links.iter().map(node).collect())
    }

    #[test]
    fn chains_are_followed_to_their_end() {
        assert!(inside("a/l", &[("a/l", "../b/c")]));
        assert!(inside("l", &[("l", "missing/../x")]));
        assert!(inside("a/l", &[("a/l", "..")]));
        assert!(!inside("l", &[("l", "..")]));
        assert!(!inside("l", &[("l", "/etc/passwd")]));
        assert!(!inside("a/l", &[("a/l", "../../x")]));
        // d -> a/b is two deep, yet d/.. is a, and d/../.. is the root: one more leads out.
        assert!(inside("l", &[("l", "d/../.."), ("d", "a/b")]));
        assert!(!inside("l", &[("l", "d/../../.."), ("d", "a/b")]));
        // a/b/up -> ../.. is the root; from there .. leads out, though it looks two folders deep.
        assert!(!inside("l", &[("l", "a/b/up/.."), ("a/b/up", "../..")]));
        assert!(!inside("l", &[("l", "m"), ("m", "l")]));
    }
}
