//! Notices that a file may have changed: written in place, replaced by a rename, or by a symbolic link on the way to it that
//! points elsewhere (as Kubernetes replaces the files of its volumes). It reads no file.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Symbolic links that are followed, as the kernel does.
const MOST_LINKS: usize = 40;
/// Attempts to watch a way that changes meanwhile.
const MOST_AIMS: usize = 8;
/// What belongs together comes within this.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// Without inotify, and while a folder cannot be watched.
const POLL: Duration = Duration::from_secs(2);

/// Watches the way to one file.
pub(super) struct Watch {
    path: PathBuf,
    /// `None`: the system gives no more of them.
    inotify: Option<AsyncFd<OwnedFd>>,
    /// Of each watched folder: the names that matter in it.
    names: HashMap<i32, HashSet<OsString>>,
    /// A folder on the way could not be watched.
    is_blind: bool,
}

impl Watch {
    /// The error says why the file is only looked at every two seconds.
    pub(super) fn new(path: &Path) -> (Watch, Option<io::Error>) {
        let made = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from);
        let (inotify, error) = match made.and_then(registered) {
            Ok(inotify) => (Some(inotify), None),
            Err(error) => (None, Some(error)),
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut watch = Watch { path, inotify, names: HashMap::new(), is_blind: true };
        watch.aim();
        (watch, error)
    }

    /// Comes back when the file may have changed, once for what comes in quick succession. What changes between two calls is
    /// not missed.
    pub(super) async fn changed(&mut self) {
        match &self.inotify {
            Some(_) if !self.is_blind => {
                while !self.wait().await {}
                sleep(DEBOUNCE).await;
                self.drain();
            }
            _ => sleep(POLL).await,
        }
        self.aim();
    }

    /// Waits for news; tells whether any of it matters.
    async fn wait(&mut self) -> bool {
        let Some(inotify) = &self.inotify else { return true };
        let Ok(mut guard) = inotify.readable().await else { return true };
        guard.clear_ready();
        drop(guard);
        self.drain()
    }

    /// Takes all news there are; tells whether any of it matters.
    fn drain(&mut self) -> bool {
        let Some(inotify) = &self.inotify else { return true };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(inotify.get_ref(), &mut buffer);
        let mut matters = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                    let known = self.names.get(&event.wd());
                    // News that were lost, a folder that is gone: anything may have happened.
                    let is_general =
                        event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED);
                    matters |= is_general
                        || known.is_some_and(|names| name.is_none_or(|name| names.contains(&name)));
                }
                Err(Errno::INTR) => {}
                Err(_) => return matters,
            }
        }
    }

    /// Watches what the way to the file is now, which may change before it is watched.
    fn aim(&mut self) {
        let mut aimed = vec![];
        for _ in 0..MOST_AIMS {
            let way = way(&self.path);
            if way == aimed {
                return;
            }
            self.aim_at(&way);
            aimed = way;
        }
        self.is_blind = true;
    }

    fn aim_at(&mut self, way: &[(PathBuf, OsString)]) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let before = std::mem::take(&mut self.names);
        self.is_blind = false;
        for (folder, name) in way {
            match inotify::add_watch(inotify.get_ref(), folder, flags) {
                Ok(watch) => drop(self.names.entry(watch).or_default().insert(name.clone())),
                Err(_) => self.is_blind = true,
            }
        }
        for watch in before.keys().filter(|watch| !self.names.contains_key(watch)) {
            // Its folder may be gone, and the watch with it.
            let _ = inotify::remove_watch(inotify.get_ref(), *watch);
        }
    }
}

#[expect(
    deprecated,
    reason = "sound with an OwnedFd, which keeps its descriptor open; its successor is unsafe to call"
)]
fn registered(inotify: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(inotify)
}

/// The entries on the way to a file that decide which file it is, each with the folder it is in: symbolic links, and the
/// file itself, or the first part that is not there.
fn way(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut entries = vec![];
    let mut left: Vec<OsString> = vec![];
    push_parts(path, &mut left);
    let (mut folder, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = left.pop() {
        if name == ".." {
            folder.pop();
            continue;
        }
        let full = folder.join(&name);
        match std::fs::read_link(&full) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                entries.push((folder.clone(), name));
                if target.is_absolute() {
                    folder = PathBuf::from("/");
                }
                push_parts(&target, &mut left);
            }
            _ if left.is_empty() || !full.is_dir() => {
                entries.push((folder, name));
                break;
            }
            _ => folder = full,
        }
    }
    entries
}

/// Puts the parts of a path in front of those that are left, the first of them last.
fn push_parts(path: &Path, left: &mut Vec<OsString>) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => left.push(name.to_owned()),
            Component::ParentDir => left.push("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, create_dir_all, rename, write};
    use std::os::unix::fs::symlink;

    fn names(path: &Path, root: &Path) -> Vec<String> {
        // The way to the temporary folder itself has links on some machines.
        let inside = way(path).into_iter().map(|(folder, name)| folder.join(name));
        let inside = inside.filter_map(|entry| Some(entry.strip_prefix(root).ok()?.display().to_string()));
        inside.collect()
    }

    #[test]
    fn the_way_has_the_links_and_the_file() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        create_dir_all(root.join("a/..1")).unwrap();
        write(root.join("a/..1/f"), "").unwrap();
        symlink("..1", root.join("a/..data")).unwrap();
        symlink("..data/f", root.join("a/f")).unwrap();
        symlink(root.join("a"), root.join("b")).unwrap();
        assert_eq!(names(&root.join("a/f"), &root), ["a/f", "a/..data", "a/..1/f"]);
        assert_eq!(names(&root.join("b/f"), &root), ["b", "a/f", "a/..data", "a/..1/f"]);
        assert_eq!(names(&root.join("a/../a/..1/./f"), &root), ["a/..1/f"]);
        assert_eq!(names(&root.join("c/d/f"), &root), ["c"], "the first that is not there");
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(names(&root.join("loop"), &root).len(), MOST_LINKS + 1);
    }

    #[test]
    fn every_way_of_changing_a_file_is_noticed_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut watch, error) = Watch::new(&at("a/f"));
            assert!(error.is_none() && !watch.is_blind);
            let mut expect = async |what: &str, change: &dyn Fn()| {
                change();
                watch.changed().await;
                assert!(!watch.is_blind, "{what}");
            };
            expect("its folder is made", &|| create_dir(at("a")).unwrap()).await;
            expect("it is made", &|| write(at("a/f"), "1").unwrap()).await;
            expect("it is written", &|| write(at("a/f"), "2").unwrap()).await;
            expect("it is replaced", &|| {
                write(at("a/.f"), "3").unwrap();
                rename(at("a/.f"), at("a/f")).unwrap();
            })
            .await;
            expect("it is removed", &|| std::fs::remove_file(at("a/f")).unwrap()).await;
            expect("it is a link", &|| {
                create_dir(at("a/..1")).unwrap();
                write(at("a/..1/f"), "4").unwrap();
                symlink("..1", at("a/..data")).unwrap();
                symlink("..data/f", at("a/f")).unwrap();
            })
            .await;
            expect("what it points to is written", &|| write(at("a/..1/f"), "5").unwrap()).await;
            expect("the link on the way is swapped", &|| {
                create_dir(at("a/..2")).unwrap();
                write(at("a/..2/f"), "6").unwrap();
                symlink("..2", at("a/..tmp")).unwrap();
                rename(at("a/..tmp"), at("a/..data")).unwrap();
            })
            .await;
            expect("what it points to now is written", &|| write(at("a/..2/f"), "7").unwrap()).await;
            for name in ["a/other", "a/..2/other", "a/..1/f"] {
                write(at(name), "x").unwrap();
                tokio::task::yield_now().await;
                assert!(!watch.drain(), "{name}");
            }
        });
    }
}
