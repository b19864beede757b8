//! Endpoints in a file of their own: read at the start, and whenever the file changes. A file that is bad changes nothing.

use super::Outcome;
use super::supervisor::Report;
use super::watch::Watch;
use crate::config::parse_endpoints;
use crate::log;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files larger than this are not read.
const LARGEST_FILE_BYTES: u64 = 16 << 20;

/// Follows one file until it is dropped.
pub(super) async fn follow(path: PathBuf, report: Report) {
    let (mut watch, error) = Watch::new(&path);
    if let Some(error) = error {
        log::warning(format_args!(
            "{} is looked at every two seconds: changes cannot be watched for: {error}; see fs.inotify.max_user_instances",
            path.display()
        ));
    }
    let mut before = None;
    loop {
        let content = read(&path);
        // An event is no change yet.
        if before.as_ref() != Some(&content) {
            report.tell(outcome(&path, &content), true).await;
            before = Some(content);
        }
        watch.changed().await;
    }
}

/// What the file says now.
pub(super) fn read_once(path: &Path) -> Outcome {
    outcome(path, &read(path))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = vec![];
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut content));
    match read {
        Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
        Ok(bytes) if bytes as u64 > LARGEST_FILE_BYTES => {
            Err(format!("{}: too large: at most {LARGEST_FILE_BYTES} bytes", path.display()))
        }
        Ok(_) => Ok(content),
    }
}

fn outcome(path: &Path, content: &Result<Vec<u8>, String>) -> Outcome {
    let content = match content {
        Ok(content) => content,
        Err(reason) => return Outcome::Failed(reason.clone()),
    };
    match parse_endpoints(&path.display().to_string(), content) {
        Ok(endpoints) => Outcome::Endpoints(endpoints.into()),
        Err(report) => Outcome::Failed(report.to_string().trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(content: &[u8]) -> String {
        match outcome(Path::new("e.yaml"), &Ok(content.to_vec())) {
            Outcome::Failed(reason) => reason,
            Outcome::Endpoints(endpoints) => panic!("{endpoints:?}"),
        }
    }

    #[test]
    fn a_list_as_in_the_configuration_is_taken_and_an_empty_one_is_none() {
        let content =
            b"# of today\n- 127.0.0.1:1\n- { address: '[::1]:2', weight: 3, priority: 1 }\n- unix:/run/a\n";
        let Outcome::Endpoints(endpoints) = outcome(Path::new("e.yaml"), &Ok(content.to_vec())) else {
            panic!()
        };
        let shown: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        assert_eq!(shown, ["127.0.0.1:1", "[::1]:2", "unix:/run/a"]);
        assert_eq!((endpoints[1].weight, endpoints[1].priority), (3, 1));
        assert!(
            matches!(outcome(Path::new("e.yaml"), &Ok(b"[]\n".to_vec())), Outcome::Endpoints(none) if none.is_empty())
        );
    }

    #[test]
    fn mistakes_are_told_with_their_places_and_an_empty_file_is_one() {
        for (content, words) in [
            (&b""[..], "e.yaml:1:1: error: nothing is not a list"),
            (b"- 127.0.0.1:1\n- api:80\n", "e.yaml:2:3: error: `api:80` is not an address"),
            (
                b"- 127.0.0.1:1\n- 127.0.0.1:1\n",
                "e.yaml:2:3: error: 127.0.0.1:1 is an endpoint of this cluster already",
            ),
            (b"- { address: 127.0.0.1:1, wait: 3 }\n", "e.yaml:1:27: error: unknown key `wait`"),
            (b"endpoints: [127.0.0.1:1]\n", "e.yaml:1:1: error: a mapping is not a list"),
            (b"- [\n", "error: not YAML"),
            (b"- \xff\n", "e.yaml:1:3: error: bytes that are not UTF-8"),
        ] {
            let reason = failure(content);
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.yaml");
        for (bytes, is_read) in
            [(LARGEST_FILE_BYTES - 1, true), (LARGEST_FILE_BYTES, true), (LARGEST_FILE_BYTES + 1, false)]
        {
            File::create(&path).unwrap().set_len(bytes).unwrap();
            assert_eq!(read(&path).is_ok(), is_read);
        }
        assert!(read(&folder.path().join("none")).unwrap_err().contains("cannot be read"));
    }
}
