//! nginx as an upstream: serves a folder, takes uploads into it by WebDAV, with access to nothing else.

use super::peers::program;
use super::process::Process;
use super::wait::until;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Nginx {
    _process: Process,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx on a port of its own. nginx cannot pick one itself: another port is tried if somebody was faster.
    pub(crate) fn start() -> Nginx {
        for _ in 0..5 {
            if let Some(nginx) = Nginx::try_start() {
                return nginx;
            }
        }
        panic!("nginx does not start on any of five free ports");
    }

    fn try_start() -> Option<Nginx> {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("files")).expect("the folder takes folders");
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config(folder.path(), address)).expect("the folder takes files");
        let mut command = Command::new(program("nginx"));
        let mut process = Process::start(command.arg("-c").arg(&file).arg("-p").arg(folder.path()));
        let listens = until("nginx to listen or to end", || match process.ended() {
            Some(_) => Some(false),
            None => TcpStream::connect(address).is_ok().then_some(true),
        });
        listens.then_some(Nginx { _process: process, folder, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a file is that nginx serves under `/files/`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }
}

fn config(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n\
           access_log off; client_max_body_size 0; keepalive_requests 1000000;\n\
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;\n\
           uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
           server {{\n\
             listen {address};\n\
             location /hello {{ return 200 'hello from nginx\\n'; }}\n\
             location /files/ {{ root {folder}; dav_methods PUT; }}\n\
             location /chunked/ {{ alias {folder}/files/; ssi on; ssi_types *; }}\n\
           }}\n\
         }}\n"
    )
}
