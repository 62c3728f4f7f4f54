//! Bytes of a stream, cut into the events they hold.

use bytes::BytesMut;

/// How the events of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events: WHATWG HTML, section 9.2. An event here is its `data` alone, for every provider repeats the
    /// name of the event in there.
    ServerSent,
    /// A JSON value a line.
    Lines,
}

/// Takes bytes, gives events. Holds one unfinished line and the event it belongs to; whoever reads counts the bytes.
#[derive(Debug)]
pub(super) struct Events {
    framing: Framing,
    unread: BytesMut,
    /// Up to where `unread` was searched for the end of a line.
    searched: usize,
    data: String,
}

impl Framing {
    /// `None` for a body that is no stream.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/event-stream" => Some(Self::ServerSent),
            "application/x-ndjson" | "application/jsonl" => Some(Self::Lines),
            _ => None,
        }
    }
}

impl Events {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, unread: BytesMut::new(), searched: 0, data: String::new() }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The stream has ended: what came last may lack the end of its line.
    pub(super) fn close(&mut self) {
        self.unread.extend_from_slice(b"\n\n");
    }

    /// The next event that is whole.
    pub(super) fn next(&mut self) -> Option<String> {
        while let Some(line) = self.line() {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            match self.framing {
                Framing::Lines if line.trim().is_empty() => {}
                Framing::Lines => return Some(line.to_owned()),
                Framing::ServerSent if line.is_empty() => {
                    if !self.data.is_empty() {
                        return Some(std::mem::take(&mut self.data));
                    }
                }
                Framing::ServerSent => {
                    if let Some(data) = line.strip_prefix("data:") {
                        if !self.data.is_empty() {
                            self.data.push('\n');
                        }
                        self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                    }
                }
            }
        }
        None
    }

    fn line(&mut self) -> Option<BytesMut> {
        let Some(end) = self.unread[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.unread.len();
            return None;
        };
        let mut line = self.unread.split_to(self.searched + end + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(framing: Framing, text: &str, piece: usize) -> Vec<String> {
        let (mut events, mut found) = (Events::new(framing), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            events.extend(bytes);
            found.extend(std::iter::from_fn(|| events.next()));
        }
        events.close();
        found.extend(std::iter::from_fn(|| events.next()));
        found
    }

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let sent = ": ping\n\nevent: a\ndata: {\"ü\":\r\ndata: 1}\r\n\r\nid: 3\ndata:two\n\ndata: last";
        let lines = "{\"ü\":1}\n\n  \r\n{\"b\":2}\r\n{\"c\":3}";
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(events(Framing::ServerSent, sent, piece), ["{\"ü\":\n1}", "two", "last"], "{piece}");
            assert_eq!(events(Framing::Lines, lines, piece), ["{\"ü\":1}", "{\"b\":2}", "{\"c\":3}"], "{piece}");
        }
    }

    #[test]
    fn a_stream_is_known_by_its_media_type() {
        assert_eq!(Framing::of("text/event-stream; charset=utf-8"), Some(Framing::ServerSent));
        assert_eq!(Framing::of("application/x-ndjson"), Some(Framing::Lines));
        assert_eq!(Framing::of("application/json"), None);
        assert_eq!(Framing::of(""), None);
    }
}
