//! A process that is told to stop. Alone in its program: what it removes is the whole process's.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use offramp_models::partial::{Partial, remove_all};

#[test]
fn everything_under_construction_is_removed_and_nothing_appears_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("bundle");
    let folder = Partial::folder(&target).unwrap();
    fs::write(folder.path().join("half"), "x").unwrap();
    let (file, _handle) = Partial::file(&home.path().join("trace")).unwrap();
    let halt = remove_all();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);

    let (done, published) = mpsc::channel();
    let writer = std::thread::spawn(move || done.send(folder.publish(&target)).unwrap());
    assert!(published.recv_timeout(Duration::from_millis(100)).is_err(), "the writer waits");
    drop(halt);
    assert!(published.recv().unwrap().is_err());
    writer.join().unwrap();
    drop(file);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
