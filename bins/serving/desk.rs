//! The run that has the state file, and does for others what they want.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cli::{Code, Context, Error, OrError as _, Timeout};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::job::{Answer, Done, Job, MAX_LINE, Order};
use super::socket;
use crate::speaking::{Speaking, Speaks};
use crate::taking_part::joining::Wanted;

/// How many other runs are heard at the same time.
const RUNS: usize = 16;

/// Where other runs bring what they want done. Without one, nobody can.
#[derive(Default)]
pub struct Desk {
    open: Option<Open>,
    waiting: VecDeque<Call>,
    under_way: Vec<UnderWay>,
}

/// The socket, which goes when this goes.
struct Open {
    calls: mpsc::Receiver<Call>,
    path: PathBuf,
    inode: u64,
    #[expect(dead_code, reason = "it ends with the desk")]
    listener: JoinSet<()>,
}

/// What another run wants.
struct Call {
    order: Order,
    reply: oneshot::Sender<Done>,
}

/// What was begun for another run.
struct UnderWay {
    task: Task,
    timeout: Timeout,
    deadline: Instant,
    reply: oneshot::Sender<Done>,
}

/// How far it is.
enum Task {
    Say(Speaking),
    Restore(Wanted),
}

/// A run that does for others what they want.
pub trait Serves: Speaks {
    /// Where they bring it.
    fn desk(&mut self) -> &mut Desk;

    /// Begins to join relays again.
    fn restore(&mut self) -> impl Future<Output = Result<Result<(), Error>, Error>>;

    /// Whether nothing more is to be waited for.
    fn is_restored(&self, wanted: Wanted) -> bool;

    /// What came of it so far.
    fn outcome(&self, wanted: Wanted, timeout: Timeout) -> Result<(), Error>;
}

impl Desk {
    /// Opens the socket beside a state file that this run has to itself. Must be called within a runtime. Without it other
    /// runs wait, which is no reason to fail.
    pub fn open(state: &Path, ctx: &Context) -> Self {
        let path = socket(state);
        match Open::at(path.clone()) {
            Ok(open) => Desk { open: Some(open), ..Desk::default() },
            Err(error) => {
                let problem = format!("{}: {error}; other runs on the same file have to wait", path.display());
                ctx.warn(Code::NotServed, problem);
                Desk::default()
            }
        }
    }

    /// Waits until another run wants something, or what one wants has taken long enough.
    pub async fn wait(&mut self) {
        let deadline = self.under_way.iter().map(|under_way| under_way.deadline).min();
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let calls = async {
            match &mut self.open {
                Some(open) => open.calls.recv().await,
                None => None,
            }
        };
        tokio::select! {
            Some(call) = calls => self.waiting.push_back(call),
            () = over => {}
        }
    }
}

/// Does what others want, as far as it can be done now.
pub async fn serve<R: Serves>(run: &mut R) -> Result<(), Error> {
    while let Some(Call { order, reply }) = run.desk().waiting.pop_front() {
        let timeout = Timeout { timeout: order.timeout };
        let deadline = Instant::now() + timeout.duration();
        match begin(run, order.job).await? {
            Ok(task) => run.desk().under_way.push(UnderWay { task, timeout, deadline, reply }),
            Err(error) => answer(reply, Done { documents: Vec::new(), outcome: Err(error) }),
        }
    }
    for under_way in std::mem::take(&mut run.desk().under_way) {
        match finished(run, &under_way).await? {
            Some(done) => answer(under_way.reply, done),
            None => run.desk().under_way.push(under_way),
        }
    }
    Ok(())
}

async fn begin<R: Serves>(run: &mut R, job: Job) -> Result<Result<Task, Error>, Error> {
    match job {
        Job::Say { says, force } => {
            let speeches = says.iter().map(|say| say.speech(force)).collect::<Result<Vec<_>, _>>();
            match speeches {
                Ok(speeches) => Ok(Ok(Task::Say(Speaking::begin(run, &speeches).await?))),
                Err(error) => Ok(Err(error)),
            }
        }
        Job::Restore(wanted) => Ok(run.restore().await?.map(|()| Task::Restore(wanted))),
    }
}

/// What came of something, if it is done or has taken long enough.
async fn finished<R: Serves>(run: &R, under_way: &UnderWay) -> Result<Option<Done>, Error> {
    let is_over = Instant::now() >= under_way.deadline;
    match &under_way.task {
        Task::Say(speaking) => {
            if !is_over && speaking.is_waiting(run).await? {
                return Ok(None);
            }
            let documents = speaking.documents(run).await?;
            let documents = documents.iter().map(serde_json::to_value).collect::<Result<_, _>>().or_error(Code::Bug)?;
            Ok(Some(Done { documents, outcome: speaking.outcome() }))
        }
        Task::Restore(wanted) => {
            let outcome = || run.outcome(*wanted, under_way.timeout);
            let ended = is_over || run.is_restored(*wanted);
            Ok(ended.then(|| Done { documents: Vec::new(), outcome: outcome() }))
        }
    }
}

/// Whoever asked may be gone: what was done stays done.
fn answer(reply: oneshot::Sender<Done>, done: Done) {
    let _ = reply.send(done);
}

impl Open {
    fn at(path: PathBuf) -> std::io::Result<Self> {
        let listener = net::control_socket::bind(&path)?;
        let inode = path.metadata()?.ino();
        let (sender, calls) = mpsc::channel(RUNS);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, sender));
        Ok(Open { calls, path, inode, listener: tasks })
    }
}

impl Drop for Open {
    /// Another run may have taken the place.
    fn drop(&mut self) {
        if self.path.metadata().is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn listen(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let mut runs = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = runs.join_next() => {}
            accepted = listener.accept(), if runs.len() < RUNS => match accepted {
                Ok((stream, _)) => drop(runs.spawn(hear(stream, calls.clone()))),
                // Too many open files, for a while.
                Err(_) => tokio::time::sleep(crate::held::LOOK).await,
            },
        }
    }
}

/// Hears one run. One that goes away, or that makes no sense, gets no answer.
async fn hear(stream: UnixStream, calls: mpsc::Sender<Call>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    BufReader::new(read).take(MAX_LINE).read_until(b'\n', &mut line).await.ok()?;
    let answers = match serde_json::from_slice(&line) {
        Ok(order) => {
            let (reply, done) = oneshot::channel();
            calls.send(Call { order, reply }).await.ok()?;
            let Done { documents, outcome } = done.await.ok()?;
            let lines = documents.into_iter().map(|line| Answer::Line { line });
            lines.chain([Answer::end(outcome)]).collect()
        }
        Err(error) => vec![Answer::end(Err(Error::new(Code::JsonMalformed, error)))],
    };
    let mut text = Vec::new();
    for answer in answers {
        serde_json::to_writer(&mut text, &answer).ok()?;
        text.push(b'\n');
    }
    write.write_all(&text).await.ok()
}
