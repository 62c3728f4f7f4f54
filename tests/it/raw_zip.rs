//! Zips for tests, written byte by byte: also such as no honest tool makes.

/// A stored entry whose headers can say anything.
#[derive(Clone)]
pub(crate) struct RawEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    /// What the local header and the directory say, where that is not the truth.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) local_size: Option<u32>,
    pub(crate) listed_size: Option<u32>,
    /// Where the directory says that the entry lies.
    pub(crate) offset: Option<u32>,
}

const WITH_DESCRIPTOR: u16 = 1 << 3;
const ENCRYPTED: u16 = 1;

impl RawEntry {
    pub(crate) fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            data: data.as_ref().to_vec(),
            mode: 0o100_644,
            flags: 0,
            method: 0,
            local_name: None,
            local_size: None,
            listed_size: None,
            offset: None,
        }
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        Self::file(name, target).mode(0o120_777)
    }

    pub(crate) fn folder(name: &str) -> Self {
        Self::file(name, "").mode(0o040_755)
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn encrypted(self) -> Self {
        Self { flags: ENCRYPTED, ..self }
    }

    /// As a tool writes it that does not know the size when it begins.
    pub(crate) fn streamed(self) -> Self {
        Self { flags: WITH_DESCRIPTOR, ..self }
    }

    /// The local header, the data and the descriptor.
    pub(crate) fn local(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        let is_streamed = self.flags & WITH_DESCRIPTOR != 0;
        let size = if is_streamed { 0 } else { self.local_size.unwrap_or_else(|| length(&self.data)) };
        let sum = if is_streamed { 0 } else { crc32(&self.data) };
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        self.push_common(&mut bytes, sum, size, name);
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(name);
        bytes.extend(&self.data);
        if is_streamed {
            bytes.extend(b"PK\x07\x08");
            bytes.extend([crc32(&self.data), length(&self.data), length(&self.data)].map(u32::to_le_bytes).concat());
        }
        bytes
    }

    fn listed(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend(0x0314_u16.to_le_bytes());
        let size = self.listed_size.unwrap_or_else(|| length(&self.data));
        self.push_common(&mut bytes, crc32(&self.data), size, &self.name);
        bytes.extend([0; 6]);
        bytes.extend((self.mode << 16).to_le_bytes());
        bytes.extend(self.offset.unwrap_or(offset).to_le_bytes());
        bytes.extend(&self.name);
        bytes
    }

    fn push_common(&self, bytes: &mut Vec<u8>, sum: u32, size: u32, name: &[u8]) {
        for field in [20, self.flags, self.method, 0, 0x21] {
            bytes.extend(field.to_le_bytes());
        }
        let stored = if self.method == 0 { size } else { length(&self.data) };
        bytes.extend([sum, stored, size].map(u32::to_le_bytes).concat());
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        if bytes.starts_with(b"PK\x01\x02") {
            bytes.extend(0_u16.to_le_bytes());
        }
    }
}

/// The bytes of a zip with these entries, in this order.
pub(crate) fn zip_bytes(entries: &[RawEntry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(entry.listed(length(&bytes)));
        if entry.offset.is_none() {
            bytes.extend(entry.local());
        }
    }
    let count = u16::try_from(entries.len()).unwrap();
    let start = length(&bytes);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].map(u16::to_le_bytes).concat());
    bytes.extend([length(&directory), start].map(u32::to_le_bytes).concat());
    bytes.extend([0; 2]);
    bytes
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1)))
    })
}
