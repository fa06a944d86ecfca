//! A kernel's process and its connection file: started by its kernelspec, and gone without a trace at the end.

use crate::kernelspec::folders::{Folders, System, programs_in};
use crate::kernelspec::{CONNECTION_FILE, Installed};
use crate::session::Options;
use anyhow::{Context, Result, bail};
use jupyter_protocol::ConnectionInfo;
use jupyter_protocol::connection_info::Transport;
use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempPath;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use uuid::Uuid;

/// How much is kept of what the process itself says, for the case that it does not start.
const MOST_SAID: usize = 16 << 10;

/// All that is needed to start a kernel.
pub struct Launch {
    program: OsString,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: Option<PathBuf>,
    /// What an argument may refer to.
    resources: String,
    runtime: PathBuf,
    /// Whether it is interrupted by a message; else by a signal.
    pub by_message: bool,
    /// Its name.
    pub name: String,
}

impl Launch {
    /// Reads the kernelspec.
    ///
    /// # Errors
    /// Where it names no command, or no folder for connection files is known.
    pub fn new(kernel: &Installed, folders: &Folders<'_>, options: &Options) -> Result<Self> {
        let Some((program, arguments)) = kernel.spec.argv.split_first() else {
            bail!("the kernel {} names no command", kernel.name)
        };
        let mut environment: Vec<_> = kernel.spec.env.clone().unwrap_or_default().into_iter().collect();
        environment.extend(options.environment.clone());
        // Nobody typed these cells.
        environment.push((crate::protocol::HISTORY.to_owned(), "off".to_owned()));
        // A kernel that watches this ends when we are gone.
        environment.push(("JPY_PARENT_PID".to_owned(), std::process::id().to_string()));
        Ok(Self {
            program: program_of(program, &kernel.folder, folders.system),
            arguments: arguments.to_vec(),
            environment,
            directory: options.folder.clone(),
            resources: kernel.folder.to_string_lossy().into_owned(),
            runtime: folders.runtime()?,
            by_message: kernel.spec.interrupt_mode.as_deref() == Some("message"),
            name: kernel.name.clone(),
        })
    }

    /// Starts the process.
    ///
    /// # Errors
    /// Where the program is not there, or the connection file cannot be written.
    pub fn start(&self) -> Result<Process> {
        let (ports, held) = free_ports()?;
        let info = connection(&ports, &self.name);
        let file = write_connection_file(&self.runtime, &info)?;
        let place = file.to_str().context("the path of the connection file is not UTF-8")?.to_owned();
        let mut command = Command::new(&self.program);
        command
            .args(
                self.arguments.iter().map(|argument| {
                    argument.replace(CONNECTION_FILE, &place).replace("{resource_dir}", &self.resources)
                }),
            )
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C is for us, who pass it on; and all that the kernel starts can be ended with it.
        #[cfg(unix)]
        command.process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // From here on they are the kernel's.
        drop(held);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep(stderr, Arc::clone(&said)));
        }
        Ok(Process { group: child.id(), child, info, said, _file: file })
    }
}

/// `python` stands for the interpreter of the environment that the kernelspec was installed into.
fn program_of(program: &str, folder: &Path, system: System) -> OsString {
    let of_environment = || {
        let prefix = folder.ancestors().nth(4).filter(|prefix| prefix.join("share/jupyter/kernels").is_dir())?;
        let python = programs_in(system, prefix).join(program);
        python.is_file().then(|| python.into_os_string())
    };
    let is_python = matches!(program, "python" | "python3");
    of_environment().filter(|_| is_python).unwrap_or_else(|| program.into())
}

/// Five ports that nobody has, and what keeps them free meanwhile.
fn free_ports() -> Result<([u16; 5], Vec<TcpListener>)> {
    let mut held = Vec::new();
    let mut ports = [0; 5];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port on this machine")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok((ports, held))
}

fn connection(ports: &[u16; 5], name: &str) -> ConnectionInfo {
    let [shell_port, iopub_port, stdin_port, control_port, hb_port] = *ports;
    ConnectionInfo {
        ip: Ipv4Addr::LOCALHOST.to_string(),
        transport: Transport::TCP,
        shell_port,
        iopub_port,
        stdin_port,
        control_port,
        hb_port,
        key: Uuid::new_v4().to_string(),
        signature_scheme: "hmac-sha256".to_owned(),
        kernel_name: Some(name.to_owned()),
    }
}

/// For our own eyes: whoever reads it can run code as us. It goes when what is given back is dropped.
fn write_connection_file(runtime: &Path, info: &ConnectionInfo) -> Result<TempPath> {
    let write = || -> Result<TempPath> {
        std::fs::create_dir_all(runtime)?;
        remove_left(runtime);
        // Its owner's alone from the first moment on, by tempfile's rules.
        let name = format!("{OURS}{}-{}", std::process::id(), Uuid::new_v4());
        let mut file = tempfile::Builder::new().prefix(&name).rand_bytes(0).suffix(".json").tempfile_in(runtime)?;
        file.write_all(&serde_json::to_vec_pretty(info)?)?;
        Ok(file.into_temp_path())
    };
    write().with_context(|| format!("cannot write a connection file into {}", runtime.display()))
}

/// How the names of our connection files begin; the number of our process follows.
const OURS: &str = "kernel-candlewick-";

/// Removes the connection files that a candlewick left which could not clean up after itself.
fn remove_left(runtime: &Path) {
    // Only here is it plain whether a process lives.
    if !cfg!(target_os = "linux") {
        return;
    }
    for entry in std::fs::read_dir(runtime).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(OURS)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Keeps the last of what is said.
async fn keep(mut from: impl AsyncReadExt + Unpin, into: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let surplus = said.len().saturating_sub(MOST_SAID);
        said.drain(..surplus);
    }
}

/// A kernel's process. Dropped, it is killed, and its connection file removed.
pub struct Process {
    child: Child,
    /// The process, and what it started: none where the system has no such thing.
    group: Option<u32>,
    /// How to reach it.
    pub info: ConnectionInfo,
    said: Arc<Mutex<Vec<u8>>>,
    _file: TempPath,
}

impl Process {
    /// Waits until it has ended. May be dropped while it waits.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => describe(status),
            Err(why) => format!("its end could not be seen: {why}"),
        }
    }

    /// The last of what it said on standard error.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).trim_end().to_owned()
    }

    /// Sends what Ctrl-C sends.
    pub async fn interrupt(&self) {
        self.signal("INT").await;
    }

    /// Ends it, and all that it has started.
    pub async fn kill(&mut self) {
        self.signal("KILL").await;
        // Fails only where it has ended already.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    #[cfg(unix)]
    async fn signal(&self, signal: &str) {
        let Some(group) = self.group else { return };
        // Signals to groups are beyond the standard library; the program `kill` is on every Unix.
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, "--", &format!("-{group}")]).stdin(Stdio::null());
        // It fails where nobody is left to hear it.
        let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    }

    #[cfg(not(unix))]
    async fn signal(&self, _: &str) {}
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    status.signal().map_or_else(|| format!("{status}"), |signal| format!("signal {signal}"))
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_files_are_ours_alone_and_go() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = runtime.path().join("new");
        let info = connection(&[1, 2, 3, 4, 5], "x");
        let file = write_connection_file(&folder, &info).unwrap();
        let read: ConnectionInfo = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(read, info);
        assert!(read.key.len() >= 32 && connection(&[1, 2, 3, 4, 5], "x").key != read.key, "each has its own key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(file);
        assert_eq!(folder.read_dir().unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_of_the_dead_are_removed_and_no_others() {
        let runtime = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let dead = format!("{OURS}{}-a.json", dead.id());
        let alive = format!("{OURS}{}-b.json", std::process::id());
        for name in [dead.as_str(), &alive, "kernel-1.json", "kernel-candlewick-x.json"] {
            std::fs::write(runtime.path().join(name), "").unwrap();
        }
        remove_left(runtime.path());
        assert!(!runtime.path().join(dead).exists());
        assert_eq!(runtime.path().read_dir().unwrap().count(), 3);
    }

    #[test]
    fn python_is_that_of_the_kernels_environment() {
        let prefix = tempfile::tempdir().unwrap();
        let folder = prefix.path().join("share/jupyter/kernels/python3");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(prefix.path().join("bin")).unwrap();
        assert_eq!(program_of("python", &folder, System::Linux), "python");
        let python = prefix.path().join("bin/python");
        std::fs::write(&python, "").unwrap();
        assert_eq!(program_of("python", &folder, System::Linux), python);
        assert_eq!(program_of("/usr/bin/R", &folder, System::Linux), "/usr/bin/R");
        assert_eq!(program_of("python", Path::new("/x"), System::Linux), "python");
    }
}
