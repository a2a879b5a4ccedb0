use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use offramp_models::dataset::{self, DataError, DataRef, Dataset, OpenOptions, Samples};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::sample::chain;

const SAMPLES: usize = 3072;

/// Samples of the picture with this number.
fn samples(number: u8) -> Vec<u8> {
    (0..SAMPLES).map(|at| (at as u8).wrapping_mul(3).wrapping_add(number)).collect()
}

/// Records of the binary version: labels, then samples.
fn binary(records: &[(&[u8], u8)]) -> Vec<u8> {
    records.iter().flat_map(|(labels, number)| [labels.to_vec(), samples(*number)].concat()).collect()
}

/// A batch as Python 2's cPickle wrote it for the Python version, byte by byte.
fn pickle(key: &str, records: &[(u8, u8)]) -> Vec<u8> {
    let mut out = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x14testing batch 1 of 1q\x03".to_vec();
    out.extend([b'U', key.len() as u8]);
    out.extend(key.as_bytes());
    out.extend(b"q\x04]q\x05(");
    records.iter().for_each(|(label, _)| out.extend([b'K', *label]));
    out.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08");
    out.extend(b"K\x00\x85U\x01b\x87Rq\x09(K\x01K");
    out.push(records.len() as u8);
    out.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b");
    out.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    out.extend((records.len() as u32 * SAMPLES as u32).to_le_bytes());
    records.iter().for_each(|(_, number)| out.extend(samples(*number)));
    out.extend(b"tbU\tfilenamesq\x0c]q\x0d(");
    records.iter().for_each(|_| out.extend(b"U\x05x.png"));
    out.extend(b"eu.");
    out
}

fn dir(files: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes) in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn open(
    name: &str,
    dir: &TempDir,
    fragment: &str,
    limit: Option<usize>,
) -> Result<Box<dyn Dataset>, DataError> {
    let data: DataRef = format!("{name}:{}{fragment}", dir.path().display()).parse().unwrap();
    dataset::open(&data, &OpenOptions { limit, ..OpenOptions::default() })
}

fn content(data: &dyn Dataset) -> Vec<(usize, Vec<u8>)> {
    let image = |image| match data.image(image).unwrap().samples() {
        Samples::U8(samples) => (data.label(image).unwrap(), samples.clone()),
        Samples::F32(_) => unreachable!("CIFAR holds bytes"),
    };
    (0..data.len()).map(image).collect()
}

fn refusal(name: &str, dir: &TempDir) -> String {
    chain(&open(name, dir, "", None).map(|_| ()).unwrap_err())
        .replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn both_versions_give_the_same_images_labels_and_digest() {
    let binary = dir(&[("cifar-10-batches-bin/test_batch.bin", binary(&[(&[3], 1), (&[8], 2)]))]);
    let python = dir(&[("test_batch", pickle("labels", &[(3, 1), (8, 2)]))]);
    let [binary, python] = [&binary, &python].map(|dir| open("cifar10", dir, "", None).unwrap());
    assert_eq!(content(&*binary), [(3, samples(1)), (8, samples(2))]);
    assert_eq!(content(&*python), content(&*binary));
    assert_eq!(python.digest().unwrap(), binary.digest().unwrap());
    assert_eq!(python.class_names().unwrap()[3], "cat");
}

#[test]
fn hundred_classes_are_read_by_their_fine_labels() {
    let binary = dir(&[("test.bin", binary(&[(&[1, 99], 1), (&[19, 0], 2)]))]);
    let python = dir(&[("cifar-100-python/test", pickle("fine_labels", &[(99, 1), (0, 2)]))]);
    for dir in [&binary, &python] {
        let data = open("cifar100", dir, "", None).unwrap();
        assert_eq!(content(&*data), [(99, samples(1)), (0, samples(2))]);
        let names = data.class_names().unwrap();
        assert!(names.is_sorted());
        assert_eq!((names.len(), names[99].as_str()), (100, "worm"));
    }
}

#[test]
fn training_batches_follow_one_another_up_to_the_limit() {
    let batch = |number: u8| binary(&[(&[0], 2 * number), (&[1], 2 * number + 1)]);
    let files: Vec<_> = (1..=5).map(|number| (format!("data_batch_{number}.bin"), batch(number))).collect();
    let mut files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    files.push(("test_batch.bin", batch(0)));
    let dir = dir(&files);
    let data = open("cifar10", &dir, "#train", None).unwrap();
    assert_eq!(data.len(), 10);
    assert_eq!(content(&*data)[5], (1, samples(7)));
    assert_eq!(open("cifar10", &dir, "#train", Some(3)).unwrap().len(), 3);
    assert_eq!(open("cifar10", &dir, "", None).unwrap().len(), 2);
}

#[test]
fn files_of_another_form_are_refused_by_name() {
    assert_snapshot!(refusal("cifar10", &dir(&[])), @"DIR does not hold CIFAR-10, expected test_batch.bin or test_batch, there or in cifar-10-batches-bin or cifar-10-batches-py");
    assert_snapshot!(refusal("cifar100", &dir(&[])), @"DIR does not hold CIFAR-100, expected test.bin or test, there or in cifar-100-binary or cifar-100-python");
    assert_snapshot!(refusal("cifar10", &dir(&[("test_batch.bin", vec![0; 3074])])), @"DIR/test_batch.bin has 3074 bytes, expected a multiple of 3073 above 0");
    assert_snapshot!(refusal("cifar10", &dir(&[("test_batch.bin", vec![])])), @"DIR/test_batch.bin has 0 bytes, expected a multiple of 3073 above 0");
    assert_snapshot!(refusal("cifar10", &dir(&[("test_batch.bin", binary(&[(&[9], 0), (&[10], 0)]))])), @"image 1 has label 10, expected 0 to 9");
    let python = |bytes: Vec<u8>| refusal("cifar10", &dir(&[("test_batch", bytes)]));
    assert_snapshot!(python(vec![]), @"DIR/test_batch is not a published CIFAR batch: the pickle ends within an instruction at byte 0");
    assert_snapshot!(python(pickle("labels", &[(10, 1)])), @"image 0 has label 10, expected 0 to 9");
    assert_snapshot!(python(pickle("fine_labels", &[(1, 1)])), @r#"DIR/test_batch is not a published CIFAR batch: the pickle has no list of integers under "labels""#);
    assert_snapshot!(python(b"\x80\x04K\x00.".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle has protocol 4, expected 2");
    assert_snapshot!(python(b"\x80\x02cposix\nsystem\nU\x02ls\x85R.".to_vec()), @r#"DIR/test_batch is not a published CIFAR batch: the pickle names "posix.system" at byte 2, expected numpy's ndarray and dtype"#);
    assert_snapshot!(python(b"\x80\x02]q\x01h\x01a\x81.".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle has instruction 0x81 at byte 8, which no published batch has");
    assert_snapshot!(python(b"\x80\x02K\x01.".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle does not have a dictionary at byte 4");
    assert_snapshot!(python(b"\x80\x02T\xff\xff\xff\xff".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle ends within an instruction at byte 2");
    assert_snapshot!(python(b"(0t.".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle has instruction 0x30 at byte 1, which no published batch has");
    assert_snapshot!(python(b"t.".to_vec()), @"DIR/test_batch is not a published CIFAR batch: the pickle does not have a mark at byte 0");
    assert_snapshot!(python(b"N".repeat(3_000_000)), @"DIR/test_batch is not a published CIFAR batch: the pickle has more than 2097152 instructions");
}

#[test]
fn a_pickle_that_holds_itself_or_nests_deeply_is_refused_without_harm() {
    let python = |bytes: Vec<u8>| refusal("cifar10", &dir(&[("test_batch", bytes)]));
    assert_snapshot!(python(b"}q\x01U\x04datah\x01s.".to_vec()), @r#"DIR/test_batch is not a published CIFAR batch: the pickle has no array under "data""#);
    let mut nested = b")".to_vec();
    nested.extend(b"\x85".repeat(1_000_000));
    nested.push(b'.');
    assert_snapshot!(python(nested), @"DIR/test_batch is not a published CIFAR batch: the pickle does not have a dictionary at byte 1000001");
}

#[test]
fn no_mutation_of_a_pickle_makes_its_reader_panic() {
    let whole = pickle("labels", &[(3, 1)]);
    let head = whole.len() - SAMPLES - 40;
    for seed in 0..2_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            // Most of the bytes are samples, which may be anything.
            let at = if at > 200 && at < head { at % 200 } else { at };
            match random.random_range(0..3) {
                0 => bytes[at] = random.random(),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at + 1),
            }
        }
        let _ = open("cifar10", &dir(&[("test_batch", bytes)]), "", None).map(|data| data.len());
    }
}
