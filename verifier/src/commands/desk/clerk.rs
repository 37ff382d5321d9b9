//! Input of the clerk: lines, the end of the input, and Ctrl-C.

use std::{io::IsTerminal as _, thread};

use tokio::sync::mpsc;

/// Action of the clerk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClerkAction {
    /// A line: the next visitor.
    Next,
    /// The end of a file or pipe on standard input: no line will come.
    InputOver,
    /// Ctrl-C, or the end of the input at a terminal.
    End,
}

/// Event from the standard input or the signal.
#[derive(Debug, Clone, Copy)]
enum InputEvent {
    Line,
    InputOver,
    Interrupt,
}

/// Listener for the clerk.
pub(super) struct Clerk {
    events: mpsc::Receiver<InputEvent>,
    is_input_over: bool,
    /// `true` if standard input is a terminal: its end (Ctrl-D) then ends the desk at once. The end of a file or pipe
    /// ends it after the current visitor.
    is_terminal: bool,
}

impl Clerk {
    /// Starts to listen to Ctrl-C, and to standard input if `reads_input`.
    pub(super) fn listen(reads_input: bool) -> Self {
        // Lines beyond these wait in the standard input.
        let (sender, events) = mpsc::channel(16);
        let interrupts = sender.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && interrupts.send(InputEvent::Interrupt).await.is_ok() {}
        });
        if reads_input {
            // Not a task: a read of a terminal cannot be cancelled, and must not hold up the end of the program.
            thread::spawn(move || {
                while carnet_console::read_line().is_some() {
                    if sender.blocking_send(InputEvent::Line).is_err() {
                        return;
                    }
                }
                let _ = sender.blocking_send(InputEvent::InputOver);
            });
        }
        Self { events, is_input_over: !reads_input, is_terminal: std::io::stdin().is_terminal() }
    }

    /// Returns whether no further line will come.
    pub(super) fn is_input_over(&self) -> bool {
        self.is_input_over
    }

    /// Waits for the next action. Cancellation loses none.
    pub(super) async fn next_action(&mut self) -> ClerkAction {
        match self.events.recv().await {
            Some(InputEvent::Line) => ClerkAction::Next,
            Some(InputEvent::Interrupt) => ClerkAction::End,
            Some(InputEvent::InputOver) => {
                self.is_input_over = true;
                if self.is_terminal { ClerkAction::End } else { ClerkAction::InputOver }
            }
            // Signals cannot be received: the system ends the program then.
            None => std::future::pending().await,
        }
    }

    /// Waits until the clerk ends the desk; lines are ignored.
    pub(super) async fn ended(&mut self) {
        while self.next_action().await != ClerkAction::End {}
    }
}
