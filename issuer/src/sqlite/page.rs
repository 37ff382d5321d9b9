//! Pages of filtered lists for staff: rows are read in chunks until enough of them match.

use crate::store::{PageSlice, RowPage};

/// Number of rows that one statement reads.
pub(super) const ROWS_PER_CHUNK: i64 = 500;
/// Maximum number of rows read for one page. If few of them match, the page is short, and the next one continues from
/// there.
const MAX_ROWS_READ: i64 = 5_000;

/// Page of a list, newest first, while it is being read.
pub(super) struct PageReader<T> {
    /// Matching rows so far, and the sequence number before which reading continues.
    pub(super) page: RowPage<T>,
    most: usize,
    read: i64,
}

impl<T> PageReader<T> {
    /// Creates an empty page for a slice.
    pub(super) fn new(slice: PageSlice) -> Self {
        let found = RowPage { rows: Vec::new(), next: Some(slice.before) };
        Self { page: found, most: usize::try_from(slice.limit).unwrap_or_default(), read: 0 }
    }

    /// Returns the sequence number before which the next chunk starts; `None` if the page is complete.
    pub(super) fn next_before(&self) -> Option<i64> {
        self.page.next.filter(|_| self.page.rows.len() < self.most && self.read < MAX_ROWS_READ)
    }

    /// Adds the matching rows of the next chunk, until the page is full. `seq` returns a row's sequence number.
    pub(super) fn add_chunk(&mut self, chunk: Vec<T>, seq: impl Fn(&T) -> i64, matches: impl Fn(&T) -> bool) {
        let is_last = i64::try_from(chunk.len()).unwrap_or(i64::MAX) < ROWS_PER_CHUNK;
        let mut chunk = chunk.into_iter().peekable();
        self.read = self.read.saturating_add(ROWS_PER_CHUNK);
        while let Some(row) = chunk.next() {
            self.page.next = Some(seq(&row));
            if matches(&row) {
                self.page.rows.push(row);
            }
            if self.page.rows.len() >= self.most && chunk.peek().is_some() {
                return;
            }
        }
        if is_last {
            self.page.next = None;
        }
    }
}
