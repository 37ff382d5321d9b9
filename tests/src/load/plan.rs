//! Measured operations: their callers, and the work in their floors.

use std::time::Duration;

use carnet_tests::Result;
use clap::ValueEnum;

use crate::{
    drive::{self, Pace, Run},
    floors::{self, CryptoFloor},
    process,
    scenario::Caller,
    services::Services,
};

/// Operation to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// Verification of a presentation without a stored request.
    Direct,
    /// The same in a stream, in messages of 32.
    Streamed,
    /// Request, reading, presentation, receipt.
    Chain,
    /// One copy: offer, redemption, nonce, collection.
    IssueOne,
    /// Ten copies.
    IssueTen,
    /// Reading of a request object.
    Read,
}

/// Work that no implementation of an operation can spare, besides its calls.
struct LeastWork {
    signatures: u32,
    verifications: u32,
    /// Bytes of the rows of each durable commit.
    commits: &'static [usize],
}

impl Operation {
    /// Returns the chosen operations; all if none is chosen.
    pub(crate) fn chosen(only: &[Self]) -> Vec<Self> {
        if only.is_empty() { Self::value_variants().to_vec() } else { only.to_vec() }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct verification",
            Self::Streamed => "streamed verification",
            Self::Chain => "durable chain",
            Self::IssueOne => "issuing, 1 copy",
            Self::IssueTen => "issuing, 10 copies",
            Self::Read => "reading a request",
        }
    }

    pub(crate) const fn callers(self) -> usize {
        match self {
            Self::Chain => 64,
            Self::Streamed => 4,
            Self::Direct | Self::IssueOne | Self::IssueTen | Self::Read => 16,
        }
    }

    const fn least_work(self) -> LeastWork {
        match self {
            Self::Direct | Self::Streamed => LeastWork { signatures: 0, verifications: 2, commits: &[] },
            // The request object and the receipt are signed; the request and its verdict are stored.
            Self::Chain => LeastWork { signatures: 2, verifications: 2, commits: &[2_048, 2_048] },
            // The offer, its redemption, the intent before the signature, and the end.
            Self::IssueOne => LeastWork { signatures: 1, verifications: 1, commits: &[2_048, 512, 512, 4_096] },
            Self::IssueTen => LeastWork { signatures: 10, verifications: 10, commits: &[2_048, 512, 2_048, 40_960] },
            Self::Read => LeastWork { signatures: 0, verifications: 0, commits: &[] },
        }
    }

    async fn prepare(self, services: &Services, callers: usize) -> Result<Vec<Caller>> {
        match self {
            Self::Direct => services.verifying_directly(callers).await,
            Self::Streamed => services.streaming(callers).await,
            Self::Chain => services.presenting(callers).await,
            Self::IssueOne => services.issuing(callers, 1).await,
            Self::IssueTen => services.issuing(callers, 10).await,
            Self::Read => services.reading(callers).await,
        }
    }

    fn server(self, services: &Services) -> u32 {
        match self {
            Self::Direct | Self::Streamed | Self::Chain | Self::Read => services.stage.agency.service.id(),
            Self::IssueOne | Self::IssueTen => services.stage.authority.service.id(),
        }
    }
}

/// Floor of an operation, in microseconds of processor time.
pub(crate) struct Floor {
    pub(crate) calls: f64,
    pub(crate) crypto: f64,
    pub(crate) commits: f64,
    /// Operations a second that one connection to a bare SQLite file commits; `None`: nothing is stored.
    pub(crate) commit_rate: Option<f64>,
}

impl Floor {
    pub(crate) fn sum(&self) -> f64 {
        self.calls + self.crypto + self.commits
    }
}

/// Measured operation.
pub(crate) struct Row {
    pub(crate) operation: Operation,
    pub(crate) callers: usize,
    pub(crate) closed: Run,
    /// Runs at a set rate, with that rate.
    pub(crate) open: Vec<(f64, Run)>,
    pub(crate) floor: Floor,
    pub(crate) peak_mib: f64,
}

/// Measures one operation, in a closed loop and at set rates, and its floors.
///
/// # Errors
/// A call is refused.
pub(crate) async fn measure(
    services: &Services,
    crypto: CryptoFloor,
    operation: Operation,
    callers: usize,
    time: Duration,
    with_open: bool,
) -> Result<Row> {
    let server = operation.server(services);
    let closed = drive::run(operation.prepare(services, callers).await?, Pace::Closed, time, server).await?;
    let work = operation.least_work();
    let echoing = services.echoing(callers, &closed.exchanges).await?;
    let calls = drive::run(echoing, Pace::Closed, time / 2, services.echo.id()).await?.cost.cpu_us;
    let calls = calls / closed.operations_per_trip as f64;
    // All bytes that come and go are counted as hashed once.
    let hashed: usize = closed.exchanges.iter().map(|(request, answer)| request + answer).sum();
    let hashed = hashed / usize::try_from(closed.operations_per_trip)?;
    let (mut commits, mut wall) = (0.0, 0.0);
    for bytes in work.commits {
        let floor = floors::commits(&services.stage.folder, *bytes, time / 5).await?;
        commits += floor.cpu_us;
        wall += 1.0 / floor.rate;
    }
    let floor = Floor {
        calls,
        crypto: crypto.of(work.signatures, work.verifications, hashed),
        commits,
        commit_rate: (wall > 0.0).then(|| 1.0 / wall),
    };
    let mut open = Vec::new();
    // A stream has a pace of its own.
    for share in if with_open && operation != Operation::Streamed { [0.7, 2.0].as_slice() } else { &[] } {
        let rate = closed.rate() * share;
        // More callers than the rate needs, so that a late answer delays no other call.
        let callers = operation.prepare(services, callers * 4).await?;
        open.push((*share, drive::run(callers, Pace::Open { rate }, time, server).await?));
    }
    Ok(Row { operation, callers, closed, open, floor, peak_mib: process::peak_mib(server)? })
}
