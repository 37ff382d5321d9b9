//! Notice on standard error about slow work.

use std::{
    rc::Rc,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Delay before the notice is printed.
const NOTICE_AFTER: Duration = Duration::from_millis(400);

type Printer = Arc<dyn Fn(&str) + Send + Sync>;

/// Notice about one kind of work, which is printed if the work takes longer than 400 ms.
#[derive(Clone)]
pub(crate) struct WaitNotice {
    text: String,
    /// Prints the notice; `None`: nothing is printed.
    print: Option<Printer>,
    after: Duration,
}

/// Work in progress. It ends when this value is dropped.
#[must_use = "the work ends when this is dropped"]
pub(crate) struct WaitGuard(Option<(Sender<()>, JoinHandle<()>)>);

impl WaitNotice {
    /// Creates a notice. It is never printed with `json`, or if standard error is no terminal.
    pub(crate) fn new(text: String, json: bool) -> Self {
        let read = !json && carnet_console::stderr_is_terminal();
        let print: Printer = Arc::new(|text| carnet_console::print_error_line(text));
        Self { text, print: read.then_some(print), after: NOTICE_AFTER }
    }

    /// Marks the start of the work, which ends when the returned guard is dropped. If that takes longer than 400 ms, a
    /// separate thread prints the notice, since the work may block this one.
    pub(crate) fn begin(&self) -> WaitGuard {
        let Some(print) = self.print.clone() else { return WaitGuard(None) };
        let (text, after) = (self.text.clone(), self.after);
        let (done, ended) = mpsc::channel::<()>();
        let watch = move || {
            if ended.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
                print(&text);
            }
        };
        // If the thread cannot start, the work continues without a notice.
        WaitGuard(thread::Builder::new().spawn(watch).ok().map(|watch| (done, watch)))
    }
}

/// Source of notices about slow calls to hosts, independent of the user interface.
#[derive(Clone)]
pub(crate) struct ServiceNotices(Rc<dyn Fn(&str) -> WaitNotice>);

impl ServiceNotices {
    /// Creates the source from a function that returns the notice for a host.
    pub(crate) fn new(notice: impl Fn(&str) -> WaitNotice + 'static) -> Self {
        Self(Rc::new(notice))
    }

    /// Returns the notice about slow calls to a host.
    pub(crate) fn notice(&self, host: &str) -> WaitNotice {
        (self.0)(host)
    }
}

impl carnet_wallet::progress::WorkObserver for WaitNotice {
    fn begin(&self) -> Box<dyn std::any::Any> {
        Box::new(Self::begin(self))
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let Some((done, watch)) = self.0.take() else { return };
        drop(done);
        // The notice must not appear after the work: it would interrupt the next question.
        let _ = watch.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::channel};

    use super::*;

    /// Creates a notice whose lines arrive on a channel.
    fn notice(after: Duration) -> (WaitNotice, mpsc::Receiver<String>) {
        let (lines, read) = channel();
        let lines = Mutex::new(lines);
        let print = move |text: &str| lines.lock().unwrap().send(text.to_owned()).unwrap();
        let text = "waiting for university.example".to_owned();
        (WaitNotice { text, print: Some(Arc::new(print)), after }, read)
    }

    #[test]
    fn what_takes_long_is_said_once_and_before_it_is_done() {
        let (notice, read) = notice(Duration::ZERO);
        let work = notice.begin();
        // It arrives while the work is in progress.
        assert_eq!(read.recv().unwrap(), "waiting for university.example");
        drop(work);
        drop(notice);
        assert!(read.recv().is_err(), "one line");
    }

    #[test]
    fn what_is_done_in_time_is_not_said() {
        let (notice, read) = notice(Duration::from_secs(3_600));
        drop(notice.begin());
        drop(notice);
        assert!(read.recv().is_err());
    }

    #[test]
    fn nobody_is_told_where_nobody_reads() {
        assert!(WaitNotice::new("waiting".to_owned(), true).begin().0.is_none());
    }
}
