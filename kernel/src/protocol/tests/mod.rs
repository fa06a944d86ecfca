//! The kernel from outside: a front end on the sockets of `jupyter-zmq-client`, a session that runs no Rust.

mod cells;
mod front_end;
mod hostile;
mod opening;
mod requests;

use super::*;
use crate::echo::{Asked, Echo};
use crate::session::{Completeness, Completions, Control, Host, Outcome, Session};
use jupyter_protocol::connection_info::Transport;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A kernel on its own thread; it ends with this value.
struct Kernel {
    connection: ConnectionInfo,
    /// What others have asked its [`Echo`] for.
    asked: Arc<Asked>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Kernel {
    /// Over an [`Echo`].
    fn start() -> Self {
        Self::with_key("a key")
    }

    fn with_key(key: &str) -> Self {
        let asked = Arc::<Asked>::default();
        let echo = Arc::clone(&asked);
        let open = move |_: &mut dyn FnMut(Output)| {
            Ok(Box::new(Echo { executed: Vec::new(), asked: echo }) as Box<dyn Session>)
        };
        let mut kernel = Self::open(key, open);
        kernel.asked = asked;
        kernel
    }

    fn open(key: &str, open: impl FnOnce(&mut dyn FnMut(Output)) -> Result<Box<dyn Session>> + Send + 'static) -> Self {
        let listeners = [(); 5].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [shell_port, iopub_port, stdin_port, control_port, hb_port] =
            listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let (ip, transport) = ("127.0.0.1".to_owned(), Transport::TCP);
        let (key, signature_scheme, kernel_name) = (key.to_owned(), "hmac-sha256".to_owned(), None);
        let connection = ConnectionInfo {
            ip,
            transport,
            shell_port,
            iopub_port,
            stdin_port,
            control_port,
            hb_port,
            key,
            signature_scheme,
            kernel_name,
        };
        let (end, ended) = oneshot::channel();
        let info = connection.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let served = tokio::task::LocalSet::new().block_on(&runtime, async {
                let listeners = listeners.map(|listener| {
                    listener.set_nonblocking(true).unwrap();
                    TcpListener::from_std(listener).unwrap()
                });
                let from_outside = async |_: &server::Server| drop(ended.await);
                server::run(&info, listeners, echo_info(), None, Box::new(open), from_outside).await
            });
            runtime.shutdown_background();
            served
        });
        Self { connection, asked: Arc::default(), end: Some(end), thread: Some(thread) }
    }

    /// Waits until it has ended by itself.
    fn wait(mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

fn echo_info() -> KernelInfo {
    let text = str::to_owned;
    KernelInfo {
        implementation: text("echo"),
        version: text("1.2.3"),
        banner: text("An echo"),
        language: LanguageInfo {
            name: text("rust"),
            version: text("1.95"),
            mimetype: text("text/x-rust"),
            file_extension: text(".rs"),
            pygments_lexer: text("rust"),
            codemirror_mode: text("rust"),
        },
        help_links: vec![HelpLink { text: text("Echo"), url: text("https://example.org") }],
    }
}

/// How often, and how much each time, a [`Faulty`] cell `flood` prints.
const FLOOD: (usize, usize) = (500, 64 << 10);

/// The same for the displays of `sprinkle`.
const SPRINKLE: (usize, usize) = (12_000, 2 << 10);

/// An [`Echo`] with faults of its own: a cell `boom` panics in the kernel, and so does all that is asked of `boom`; a cell
/// `flood` prints more than the sockets hold, `sprinkle` shows as much in small displays, and for the answer to what `goes`
/// asks nobody waits.
struct Faulty(Echo);

impl Session for Faulty {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        assert_ne!(code, "boom", "a fault for the test");
        if code == "flood" {
            (0..FLOOD.0).for_each(|_| host.send(Output::Stdout("x".repeat(FLOOD.1))));
            return Outcome::Done;
        }
        if code == "sprinkle" {
            let media = [("text/plain".to_owned(), "x".repeat(SPRINKLE.1))];
            (0..SPRINKLE.0).for_each(|_| host.send(Output::Display { media: media.clone().into(), id: None }));
            return Outcome::Done;
        }
        if code == "goes" {
            drop(host.ask("still there?", false));
            return Outcome::Done;
        }
        self.0.execute(code, host)
    }

    fn idle(&mut self, host: &mut dyn Host) {
        if self.0.executed.pop_if(|code| *code == "print now").is_some() {
            let media = [("text/plain".to_owned(), "8".to_owned())].into();
            host.send(Output::Stdout("later\n".to_owned()));
            host.send(Output::Result { media });
        }
    }

    fn control(&self) -> Arc<dyn Control> {
        self.0.control()
    }

    fn completeness(&self, code: &str) -> Completeness {
        assert_ne!(code, "boom");
        self.0.completeness(code)
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        assert_ne!(code, "boom");
        self.0.complete(code, cursor)
    }

    fn inspect(&mut self, code: &str, cursor: usize, source: bool) -> Option<BTreeMap<String, String>> {
        assert_ne!(code, "boom");
        if code == "slow" {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        self.0.inspect(code, cursor, source)
    }

    fn peak_memory(&self) -> Option<u64> {
        None
    }
}

/// Not a test: an echo kernel for the front ends of others. `CANDLEWICK_ECHO` is its connection file.
#[test]
#[ignore = "serves until it is shut down"]
fn echo_kernel() {
    let file = std::env::var_os("CANDLEWICK_ECHO").expect("CANDLEWICK_ECHO names a connection file");
    let connection = read_connection_file(file.as_ref()).unwrap();
    serve(&connection, echo_info(), None, |_| Ok(Box::new(Echo::default()))).unwrap();
}
