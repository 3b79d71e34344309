//! The file: opening it, decoding it, and noticing that it changed while it was read.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use tidelock_connector_api::{Error, ErrorKind, Result};
use twox_hash::XxHash3_128;

use crate::record::Text;

const CHUNK: usize = 128 << 10;

/// Stands for what could not be decoded: a byte that occurs in no UTF-8 text, so that its record will not pass for one.
const UNDECODABLE: u8 = 0xFF;

/// A file being read.
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    start: Stamp,
    /// How many bytes have been read from the file.
    read: u64,
    encoding: &'static Encoding,
    /// Absent for UTF-8, which is passed on as it is.
    decoder: Option<Decoder>,
    raw: Box<[u8]>,
    raw_end: usize,
    text: Vec<u8>,
    position: usize,
    ended: bool,
    digest: Option<Box<XxHash3_128>>,
}

/// What the bytes of a file come to: two files of the same digest are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// How many bytes.
    pub(crate) length: u64,
    /// Their hash.
    pub(crate) hash: u128,
}

/// What a file looks like from outside. A difference means that it was written to, or replaced.
#[derive(PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

#[cfg(unix)]
type Identity = (u64, u64, i64, i64);
#[cfg(not(unix))]
type Identity = Option<SystemTime>;

impl Source {
    /// Opens a file in an encoding; a byte order mark knows better.
    pub(crate) fn open(path: &Path, encoding: &'static Encoding) -> Result<Self> {
        let cannot = |error: io::Error| cannot_read(path, error);
        regular(path)?;
        let mut file = File::open(path).map_err(cannot)?;
        let start = Stamp::of(&file.metadata().map_err(cannot)?);
        let mut raw = vec![0; CHUNK].into_boxed_slice();
        let mut raw_end = 0;
        while raw_end < 3 {
            match read(&mut file, &mut raw[raw_end..]).map_err(cannot)? {
                0 => break,
                more => raw_end += more,
            }
        }
        let (encoding, mark) = Encoding::for_bom(&raw[..raw_end]).unwrap_or((encoding, 0));
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        let mut source = Self {
            path: path.to_path_buf(),
            file,
            start,
            read: raw_end as u64,
            encoding,
            decoder,
            raw,
            raw_end,
            text: Vec::new(),
            position: mark,
            ended: raw_end == 0,
            digest: None,
        };
        source.decode(mark);
        Ok(source)
    }

    /// Makes a digest of the bytes from now on: to be called before anything is read.
    pub(crate) fn make_digest(&mut self) {
        let mut digest = XxHash3_128::new();
        digest.write(&self.raw[..self.raw_end]);
        self.digest = Some(Box::new(digest));
    }

    /// The digest of the bytes that were read, if one is made.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.as_ref().map(|digest| Digest { length: self.read, hash: digest.finish_128() })
    }

    /// The name of the encoding that the file is read in.
    pub(crate) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// How long the file was when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.start.length
    }

    /// What happened to the file since it was opened, if something did. To be asked at the end of the file.
    pub(crate) fn change(&self) -> Option<&'static str> {
        let Ok(path) = fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata)) else {
            return Some("the file was removed while it was read");
        };
        if path.identity_only() != self.start.identity_only() {
            return Some("the file was replaced while it was read");
        }
        let unchanged = self.file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == self.start);
        (!unchanged || path != self.start || self.read != self.start.length).then_some("the file changed while it was read")
    }

    /// The error for a failure to read on.
    pub(crate) fn error(&self, error: io::Error) -> Error {
        cannot_read(&self.path, error)
    }

    /// Turns raw bytes, from a position, into text.
    fn decode(&mut self, from: usize) {
        let Some(decoder) = &mut self.decoder else { return };
        self.text.clear();
        self.position = 0;
        let mut input = &self.raw[from.min(self.raw_end)..self.raw_end];
        loop {
            let needed = decoder.max_utf8_buffer_length_without_replacement(input.len()).unwrap_or(CHUNK).max(16);
            let start = self.text.len();
            self.text.resize(start + needed, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(input, &mut self.text[start..], self.ended);
            self.text.truncate(start + written);
            input = &input[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.text.push(UNDECODABLE),
            }
        }
    }

    fn available(&self) -> &[u8] {
        match self.decoder {
            Some(_) => &self.text[self.position..],
            None => &self.raw[self.position..self.raw_end],
        }
    }
}

impl Text for Source {
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.available().is_empty() && !self.ended {
            self.raw_end = read(&mut self.file, &mut self.raw)?;
            self.read += self.raw_end as u64;
            if let Some(digest) = &mut self.digest {
                digest.write(&self.raw[..self.raw_end]);
            }
            self.ended = self.raw_end == 0;
            self.position = 0;
            self.decode(0);
        }
        Ok(self.available())
    }

    fn consume(&mut self, bytes: usize) {
        self.position += bytes;
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok(), identity: identity(metadata) }
    }

    #[cfg(unix)]
    fn identity_only(&self) -> (u64, u64) {
        (self.identity.0, self.identity.1)
    }

    #[cfg(not(unix))]
    fn identity_only(&self) -> Identity {
        self.identity
    }
}

/// How long the file is.
pub(crate) fn length(path: &Path) -> Result<u64> {
    Ok(regular(path)?.len())
}

/// The digest of a file.
///
/// # Errors
/// It cannot be read, or changes meanwhile.
pub(crate) fn digest(path: &Path) -> Result<Digest> {
    let cannot = |error: io::Error| cannot_read(path, error);
    regular(path)?;
    let mut file = File::open(path).map_err(cannot)?;
    let start = Stamp::of(&file.metadata().map_err(cannot)?);
    let mut digest = XxHash3_128::new();
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    loop {
        match read(&mut file, &mut buffer).map_err(cannot)? {
            0 => break,
            more => {
                digest.write(&buffer[..more]);
                length += more as u64;
            }
        }
    }
    if Stamp::of(&regular(path)?) != start || length != start.length {
        return Err(Error::unreachable(format!("{} changed while it was read", path.display())));
    }
    Ok(Digest { length, hash: digest.finish_128() })
}

/// Asked before opening: opening a pipe would wait for its writer.
fn regular(path: &Path) -> Result<Metadata> {
    let metadata = fs::metadata(path).map_err(|error| cannot_read(path, error))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Error::config(format!("cannot read {}: it is {what}; 'filePath' names a CSV file", path.display())));
    }
    Ok(metadata)
}

/// Device and number of the file, and the time of its last change of any kind, which writers cannot set back.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    metadata.created().ok()
}

fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn cannot_read(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorKind::Config,
        // A file that is not there may be there tomorrow.
        _ => ErrorKind::Unreachable,
    };
    Error::new(kind, format!("cannot read {}", path.display())).with_source(error)
}
