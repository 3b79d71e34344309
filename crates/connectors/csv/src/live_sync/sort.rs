//! Sorting records with a bounded amount of memory.
//!
//! What does not fit into memory goes, in sorted runs, to files without a name, which the system removes with the process. Files
//! are few and blocks small, however many runs there are: when they become many, they are merged into one.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::live_sync::snapshot::{Blocks, Reader, Record, Standing, Writer};

/// How many runs are merged at once.
const FAN_IN: usize = 64;

/// Sorts records into a snapshot. As long as they come in order, they are written as they come.
pub(crate) struct Sorter<'a> {
    folder: &'a Path,
    create: &'a dyn Fn() -> io::Result<Writer>,
    memory: usize,
    buffer: Buffer,
    /// What came in order, from the first record.
    chain: Option<Writer>,
    /// Runs, and behind them those of which each is as long as many of those before.
    levels: Vec<Level>,
}

/// Sorted runs of records in a file.
struct Level {
    file: Arc<File>,
    /// Where the file ends.
    end: u64,
    /// Where each run begins.
    runs: Vec<u64>,
}

/// Records in memory.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a record is.
#[derive(Clone, Copy)]
struct Place {
    /// The first bytes of its key, so that most comparisons need no more.
    prefix: u64,
    row: u64,
    start: u32,
    key: u32,
    fields: u32,
    standing: Standing,
}

impl<'a> Sorter<'a> {
    /// A sorter that takes about so many bytes of memory, and keeps what does not fit into it in a folder.
    pub(crate) fn new(folder: &'a Path, create: &'a dyn Fn() -> io::Result<Writer>, memory: usize) -> Self {
        Self { folder, create, memory, buffer: Buffer::default(), chain: None, levels: Vec::new() }
    }

    /// Adds a record, whose fields are written by a function.
    pub(crate) fn push(&mut self, key: &[u8], row: u64, standing: Standing, fields: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.buffer.push(key, row, standing, fields)?;
        if self.buffer.size() >= self.memory { self.flush() } else { Ok(()) }
    }

    /// All records in order, as a snapshot that is not ended yet.
    pub(crate) fn finish(mut self) -> io::Result<Writer> {
        self.flush()?;
        if self.levels.is_empty() {
            return self.chain.map_or_else(|| (self.create)(), Ok);
        }
        // Its memory is for the merge.
        self.buffer = Buffer::default();
        let mut runs: Vec<Reader> = Vec::new();
        for level in &self.levels {
            runs.extend(level.readers());
        }
        if let Some(chain) = &mut self.chain {
            runs.push(chain.read()?.1);
        }
        let mut writer = (self.create)()?;
        merge(runs, |record| writer.push(record))?;
        Ok(writer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let Some(first) = self.buffer.places.first() else { return Ok(()) };
        if self.levels.is_empty() {
            let first = (self.buffer.record(first).key, first.row);
            if self.chain.as_ref().is_none_or(|chain| chain.last().is_none_or(|last| last <= first)) {
                let chain = match &mut self.chain {
                    Some(chain) => chain,
                    None => self.chain.insert((self.create)()?),
                };
                self.buffer.drain(|record| chain.push(record))?;
                return Ok(());
            }
            self.levels.push(Level::new(self.folder)?);
        }
        let buffer = &mut self.buffer;
        self.levels[0].add(|run| buffer.drain(|record| run.push(record)))?;
        self.compact()
    }

    /// Sees to it that no level has too many runs.
    fn compact(&mut self) -> io::Result<()> {
        for at in 0.. {
            let Some(level) = self.levels.get(at).filter(|level| level.runs.len() >= FAN_IN) else { break };
            let runs = level.readers().collect();
            if self.levels.len() == at + 1 {
                self.levels.push(Level::new(self.folder)?);
            }
            self.levels[at + 1].add(|run| merge(runs, |record| run.push(record)))?;
            self.levels[at] = Level::new(self.folder)?;
        }
        Ok(())
    }
}

impl Level {
    fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile_in(folder)?), end: 0, runs: Vec::new() })
    }

    fn add(&mut self, write: impl FnOnce(&mut Blocks) -> io::Result<()>) -> io::Result<()> {
        let mut run = Blocks::at(Arc::clone(&self.file), self.end);
        write(&mut run)?;
        self.runs.push(self.end);
        self.end = run.end()?;
        Ok(())
    }

    fn readers(&self) -> impl Iterator<Item = Reader> {
        self.runs.iter().map(|start| Reader::at(Arc::clone(&self.file), *start))
    }
}

/// Gives all records of sorted runs in order.
fn merge(runs: Vec<Reader>, mut each: impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    for mut run in runs {
        if run.next()? {
            readers.push(run);
        }
    }
    let order = |readers: &[Reader], a: usize, b: usize| -> Ordering {
        let rows = || readers[a].record().row.cmp(&readers[b].record().row);
        readers[a].key().cmp(readers[b].key()).then_with(rows).then_with(|| a.cmp(&b))
    };
    // The least one is the last.
    let mut queue: Vec<usize> = (0..readers.len()).collect();
    queue.sort_unstable_by(|&a, &b| order(&readers, b, a));
    while let Some(&least) = queue.last() {
        each(readers[least].record())?;
        let rest = queue.len() - 1;
        if !readers[least].next()? {
            queue.truncate(rest);
        } else if queue[..rest].last().is_some_and(|&next| order(&readers, next, least).is_lt()) {
            let at = queue[..rest].partition_point(|&other| order(&readers, other, least).is_gt());
            queue[at..].rotate_right(1);
        }
    }
    Ok(())
}

impl Buffer {
    fn push(&mut self, key: &[u8], row: u64, standing: Standing, fields: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        fields(&mut self.bytes);
        let mut prefix = [0; 8];
        let known = key.len().min(8);
        prefix[..known].copy_from_slice(&key[..known]);
        let short = |length: usize| u32::try_from(length).map_err(|_| io::Error::other("a row is too long"));
        self.places.push(Place {
            prefix: u64::from_be_bytes(prefix),
            row,
            start: short(start)?,
            key: short(key.len())?,
            fields: short(self.bytes.len() - start - key.len())?,
            standing,
        });
        Ok(())
    }

    /// How much memory the records take.
    fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn sort(&mut self) {
        let key = |place: &Place| &self.bytes[place.start as usize..][..place.key as usize];
        self.places.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))).then_with(|| (a.row, a.start).cmp(&(b.row, b.start)))
        });
    }

    /// Gives all records away.
    fn drain(&mut self, mut each: impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
        self.places.iter().try_for_each(|place| each(self.record(place)))?;
        self.bytes.clear();
        self.places.clear();
        Ok(())
    }

    fn record(&self, place: &Place) -> Record<'_> {
        let (key, rest) = self.bytes[place.start as usize..].split_at(place.key as usize);
        Record { key, row: place.row, standing: place.standing, fields: &rest[..place.fields as usize] }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use tempfile::TempDir;

    use super::*;
    use crate::live_sync::snapshot::Header;

    /// Sorts these keys in so little memory; gives them back, and how many snapshots were begun.
    fn sort(keys: impl Iterator<Item = u32>, memory: usize, check: impl Fn(&Sorter<'_>)) -> (Vec<u32>, usize) {
        let folder = TempDir::new().unwrap();
        let begun = Cell::new(0);
        let create = || {
            begun.set(begun.get() + 1);
            Writer::create(folder.path().join(format!("{}.tmp", begun.get())), Header::default())
        };
        let mut sorter = Sorter::new(folder.path(), &create, memory);
        for (row, key) in keys.enumerate() {
            let key = key.to_be_bytes();
            sorter.push(&key, row as u64, Standing::Good, |fields| fields.extend(b"something")).unwrap();
            check(&sorter);
        }
        let mut writer = sorter.finish().unwrap();
        let (_, mut reader) = writer.read().unwrap();
        let mut sorted = Vec::new();
        while reader.next().unwrap() {
            sorted.push(u32::from_be_bytes(reader.key().try_into().unwrap()));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "what was needed in between is gone");
        (sorted, begun.get())
    }

    #[test]
    fn any_number_of_records_is_sorted_in_bounded_memory_and_few_files() {
        const COUNT: u32 = 300_000;
        const MEMORY: usize = 2_000;
        let keys = (0..COUNT).map(|number| number.wrapping_mul(2_654_435_761) >> 4);
        let mut expected: Vec<u32> = keys.clone().collect();
        expected.sort_unstable();
        expected.dedup();
        let (sorted, _) = sort(keys, MEMORY, |sorter| {
            assert!(sorter.buffer.bytes.capacity() + sorter.buffer.places.capacity() * size_of::<Place>() <= 4 * MEMORY);
            assert!(sorter.levels.len() <= 3 && sorter.levels.iter().all(|level| level.runs.len() < FAN_IN));
        });
        assert!(sorted == expected);
    }

    #[test]
    fn what_comes_in_order_is_written_once() {
        let (sorted, begun) = sort(0..10_000, 2_000, |sorter| assert!(sorter.levels.is_empty()));
        assert!(sorted.into_iter().eq(0..10_000));
        assert_eq!(begun, 1);
        let (sorted, begun) = sort((0..5_000).chain(1_000..6_000), 2_000, |_| {});
        assert!(sorted.into_iter().eq(0..6_000));
        assert_eq!(begun, 2);
    }
}
