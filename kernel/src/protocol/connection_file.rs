//! The file in which Jupyter says where a kernel is to listen, and with which key it signs.

use anyhow::{Context, Result, bail, ensure};
use jupyter_protocol::connection_info::{ConnectionInfo, Transport};
use std::io::Read;
use std::path::Path;

/// A connection file has a few hundred bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Reads a connection file.
///
/// # Errors
/// Where it cannot be read, is no connection file, or asks for what this kernel has not: another transport than TCP,
/// another signature than HMAC-SHA256, a port that is left open or named twice.
pub fn read_connection_file(path: &Path) -> Result<ConnectionInfo> {
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path).context("cannot open it")?;
        file.take(MOST_BYTES + 1).read_to_string(&mut text).context("cannot read it")?;
        ensure!(text.len() as u64 <= MOST_BYTES, "it is larger than any connection file");
        let info: ConnectionInfo = serde_json::from_str(&text).context("it is no connection file")?;
        check(&info)?;
        Ok(info)
    };
    read().with_context(|| format!("the connection file {}", path.display()))
}

/// What a kernel asks of its connection, wherever it is from.
pub(super) fn check(info: &ConnectionInfo) -> Result<()> {
    let ConnectionInfo { transport, signature_scheme, .. } = info;
    ensure!(*transport == Transport::TCP, "the transport is {transport}: this kernel has tcp only");
    // The scheme is of no account where nothing is signed.
    let scheme_known = signature_scheme == "hmac-sha256" || info.key.is_empty();
    ensure!(scheme_known, "the signature scheme is {signature_scheme:?}: this kernel has hmac-sha256 only");
    let ports = ports(info);
    for (i, (name, port)) in ports.iter().enumerate() {
        ensure!(*port != 0, "the {name} port is 0: nobody would find it");
        if let Some((other, _)) = ports[..i].iter().find(|(_, earlier)| earlier == port) {
            bail!("{other} and {name} have the same port {port}");
        }
    }
    Ok(())
}

/// The five sockets by name.
pub(super) fn ports(info: &ConnectionInfo) -> [(&'static str, u16); 5] {
    [
        ("shell", info.shell_port),
        ("iopub", info.iopub_port),
        ("stdin", info.stdin_port),
        ("control", info.control_port),
        ("heartbeat", info.hb_port),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
        "control_port": 4, "hb_port": 5, "key": "k", "signature_scheme": "hmac-sha256", "kernel_name": "x", "new": []}"#;

    fn read(text: &str) -> Result<ConnectionInfo> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_connection_file(file.path())
    }

    #[test]
    fn a_connection_file_is_read() {
        let info = read(GOOD).unwrap();
        assert_eq!((info.shell_port, info.hb_port, info.key.as_str()), (1, 5, "k"));
        assert!(read(&GOOD.replace("\"k\"", "\"\"").replace("sha256", "none")).is_ok());
    }

    #[test]
    fn a_bad_connection_file_is_refused_with_its_name_and_why() {
        let cases = [
            (GOOD.replace("\"tcp\"", "\"ipc\""), "the transport is ipc"),
            (GOOD.replace("\"tcp\"", "\"udp\""), "no connection file"),
            (GOOD.replace("sha256", "md5"), "hmac-md5"),
            (GOOD.replace(": 2", ": 1"), "shell and iopub have the same port 1"),
            (GOOD.replace(": 2", ": 0"), "iopub port is 0"),
            (GOOD.replace(": 2", ": 70000"), "no connection file"),
            (GOOD.replace("\"key\": \"k\",", ""), "no connection file"),
            ("{".to_owned(), "no connection file"),
            (" ".repeat(2 << 20), "larger than any"),
        ];
        for (text, why) in cases {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(why) && error.starts_with("the connection file "), "{error}");
        }
        let error = format!("{:#}", read_connection_file(Path::new("/nowhere/kernel.json")).unwrap_err());
        assert!(error.contains("/nowhere/kernel.json: cannot open it"), "{error}");
    }
}
