//! How far a learner has come, on disk.

use crate::exercise::{progress, todos};

#[test]
fn progress_survives_whatever_its_file_is() {
    use progress::{FILE, Kept, Progress};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    assert_eq!(Progress::read(folder.path()), Ok(Progress::default()));
    let mine = Progress { passed: [1, 3].into(), hints: [(2, 1)].into() };
    assert_eq!(mine.write(folder.path()), Kept::OnDisk);
    assert_eq!(Progress::read(folder.path()), Ok(mine.clone()));
    assert_eq!(mine.bar(), "■□■□□□□□□□□□  2 of 12");
    std::fs::write(&file, "{\"passed\": [0, 3, 99], \"later\": true}").unwrap();
    assert_eq!(Progress::read(folder.path()).unwrap().passed, [3].into(), "only TODOs that there are");
    for broken in ["{\"passed\": [1", "[]", "\u{0}", "{\"passed\": -1}"] {
        std::fs::write(&file, broken).unwrap();
        assert!(Progress::read(folder.path()).unwrap_err().contains(FILE));
        let Kept::Not(said) = mine.write(folder.path()) else { panic!("{broken}: not said") };
        assert!(said.contains("broken.json"), "{said}");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("flowers_exercise.progress.broken.json")).unwrap(),
            broken
        );
        assert_eq!(Progress::read(folder.path()), Ok(mine.clone()));
    }
    let mut protected = std::fs::metadata(&file).unwrap().permissions();
    protected.set_readonly(true);
    std::fs::set_permissions(&file, protected).unwrap();
    let Kept::Not(said) = Progress::default().write(folder.path()) else { panic!("it replaced a protected file") };
    assert!(said.contains("read-only") && said.contains("this session only"), "{said}");
    assert_eq!(Progress::read(folder.path()), Ok(mine));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(Progress::read(folder.path()).unwrap_err().contains("no ordinary file"));
}

#[test]
fn hints_come_one_by_one_and_the_last_one_stays() {
    let mut progress = progress::Progress::default();
    let shown: Vec<usize> = (0..5).map(|_| progress.next_hint(3, 3)).collect();
    assert_eq!(shown, [1, 2, 3, 3, 3]);
    assert!(todos::hints(0).is_empty() && todos::hints(13).is_empty());
}
