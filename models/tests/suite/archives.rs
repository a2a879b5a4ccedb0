use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use insta::assert_snapshot;
use offramp_models::dataset::{self, DataRef, Dataset, OpenOptions, Samples};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::sample::chain;

/// An array as numpy saves it.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((header.len() as u16).to_le_bytes());
    array.extend(header.as_bytes());
    array.extend(elements);
    array
}

struct Archive {
    dir: TempDir,
    path: PathBuf,
}

impl Archive {
    fn of(arrays: &[(&str, &[u8])], method: CompressionMethod) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, array) in arrays {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(array).unwrap();
        }
        zip.finish().unwrap();
        Self { dir, path }
    }

    fn open(&self, limit: Option<usize>) -> Result<Box<dyn Dataset>, dataset::DataError> {
        dataset::open(&DataRef::Npz(self.path.clone()), &OpenOptions { limit, ..OpenOptions::default() })
    }

    fn refusal(&self) -> String {
        chain(&*self.open(None).map(|_| ()).map_err(Box::new).unwrap_err())
            .replace(&self.dir.path().display().to_string(), "DIR")
    }
}

fn refusal(arrays: &[(&str, &[u8])]) -> String {
    let refusals = [CompressionMethod::Stored, CompressionMethod::Deflated]
        .map(|method| Archive::of(arrays, method).refusal());
    assert_eq!(refusals[0], refusals[1]);
    refusals[0].clone()
}

fn x() -> Vec<u8> {
    npy("|u1", "(3, 1, 2, 2)", &(0..12).collect::<Vec<u8>>())
}

fn int64(labels: &[i64]) -> Vec<u8> {
    let elements: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    npy("<i8", &format!("({},)", labels.len()), &elements)
}

#[test]
fn bytes_and_labels_come_out_as_they_went_in_compressed_or_not() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let data = Archive::of(&[("x", &x()), ("y", &int64(&[2, 0, 1]))], method).open(None).unwrap();
        assert_eq!(data.len(), 3);
        assert_eq!(data.image(1).unwrap().samples(), &Samples::U8(vec![4, 5, 6, 7]));
        assert_eq!([0, 1, 2, 3].map(|image| data.label(image)), [Some(2), Some(0), Some(1), None]);
        data.check_labels(3).unwrap();
    }
}

#[test]
fn a_label_that_the_network_does_not_know_and_an_image_beyond_the_last_are_named() {
    let data = Archive::of(&[("x", &x()), ("y", &int64(&[0, 1, 2]))], CompressionMethod::Stored);
    let data = data.open(None).unwrap();
    assert_snapshot!(data.check_labels(2).unwrap_err(), @"image 2 has label 2, expected 0 to 1");
    assert_snapshot!(data.image(3).unwrap_err(), @"there is no image 3, the data set has 3");
}

#[test]
fn floats_come_out_to_the_bit() {
    let values = [0.0f32, 1.0, 0.1, f32::MIN_POSITIVE];
    let elements: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let data = Archive::of(&[("x", &npy("<f4", "(1, 1, 2, 2)", &elements))], CompressionMethod::Stored);
    let data = data.open(None).unwrap();
    assert_eq!(data.image(0).unwrap().samples(), &Samples::F32(values.to_vec()));
    assert_eq!(data.label(0), None);
}

#[test]
fn a_limit_takes_the_first_images_and_their_labels() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let data = Archive::of(&[("x", &x()), ("y", &int64(&[2, 0, 1]))], method).open(Some(2)).unwrap();
        assert_eq!((data.len(), data.label(1), data.label(2)), (2, Some(0), None));
        assert!(data.image(2).is_err());
    }
}

#[test]
fn labels_of_any_integer_type_are_taken() {
    for (descr, one) in
        [("|i1", 1), ("|u1", 1), ("<i2", 2), ("<u2", 2), ("<i4", 4), ("<u4", 4), ("<i8", 8), ("<u8", 8)]
    {
        let mut elements = vec![0; 3 * one];
        elements[one] = 7;
        let data =
            Archive::of(&[("x", &x()), ("y", &npy(descr, "(3,)", &elements))], CompressionMethod::Stored);
        assert_eq!(data.open(None).unwrap().label(1), Some(7), "{descr}");
    }
}

#[test]
fn arrays_of_another_form_are_refused_by_name() {
    let u1 = |shape: &str, bytes: usize| npy("|u1", shape, &vec![0; bytes]);
    assert_snapshot!(refusal(&[("y", &int64(&[1]))]), @r#"DIR/data.npz has no array "x""#);
    assert_snapshot!(refusal(&[("x", &u1("(3, 2, 2)", 12))]), @r#"array "x" of DIR/data.npz cannot be used: its shape is [3, 2, 2], expected N,C,H,W"#);
    assert_snapshot!(refusal(&[("x", &u1("(3, 0, 2, 2)", 0))]), @r#"array "x" of DIR/data.npz cannot be used: its shape is [3, 0, 2, 2], expected N,C,H,W with C, H and W above 0"#);
    assert_snapshot!(refusal(&[("x", &u1("(0, 3, 2, 2)", 0))]), @"DIR/data.npz holds no images");
    assert_snapshot!(refusal(&[("x", &npy(">f4", "(1, 1, 1, 1)", &[0; 4]))]), @r#"array "x" of DIR/data.npz cannot be used: its elements are ">f4", expected uint8 or little-endian float32"#);
    assert_snapshot!(refusal(&[("x", &npy("<f8", "(1, 1, 1, 1)", &[0; 8]))]), @r#"array "x" of DIR/data.npz cannot be used: its elements are "<f8", expected uint8 or little-endian float32"#);
    assert_snapshot!(refusal(&[("x", b"PK and more")]), @r#"array "x" of DIR/data.npz cannot be used: it does not begin like an npy array of format version 1, 2 or 3"#);
    assert_snapshot!(refusal(&[("x", &x()), ("y", &int64(&[1, 2]))]), @"DIR/data.npz has 3 images and 2 labels");
    assert_snapshot!(refusal(&[("x", &x()), ("y", &int64(&[1, -2, 0]))]), @"image 1 has label -2, expected 0 or above");
    assert_snapshot!(refusal(&[("x", &x()), ("y", &npy("<f4", "(3,)", &[0; 12]))]), @r#"array "y" of DIR/data.npz cannot be used: its elements are "<f4", expected little-endian integers"#);
    assert_snapshot!(refusal(&[("x", &x()), ("y", &npy("<i8", "(3, 1)", &[0; 24]))]), @r#"array "y" of DIR/data.npz cannot be used: its shape is [3, 1], expected N"#);
    let fortran = String::from_utf8_lossy(&x()[10..]).replace("False", "True");
    let mut array = x()[..8].to_vec();
    array.extend((fortran.len() as u16 - 12).to_le_bytes());
    array.extend(fortran.as_bytes());
    assert_snapshot!(refusal(&[("x", &array)]), @r#"array "x" of DIR/data.npz cannot be used: it is in Fortran order, expected C order"#);
}

#[test]
fn floats_outside_black_and_white_are_refused_with_their_place() {
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    for odd in [1.5, -0.1, f32::NAN, f32::INFINITY] {
        let x = npy("<f4", "(2, 1, 1, 2)", &floats(&[0.0, 1.0, 0.5, odd]));
        assert_eq!(
            refusal(&[("x", &x)]),
            format!("image 1 of DIR/data.npz cannot be used: sample 1 is {odd}, expected float32 in [0, 1]")
        );
    }
}

#[test]
fn an_array_that_promises_more_than_it_holds_is_refused_before_memory_is_taken() {
    let huge = "(1099511627776, 3, 32, 32)";
    assert_snapshot!(refusal(&[("x", &npy("|u1", huge, &[0; 9]))]), @r#"array "x" of DIR/data.npz cannot be used: it has 99 bytes, its header and shape [1099511627776, 3, 32, 32] need 3377699720527962"#);
    assert_snapshot!(refusal(&[("x", &npy("|u1", "(99999999999, 99999999999, 99999999999, 9)", &[]))]), @r#"array "x" of DIR/data.npz cannot be used: its shape [99999999999, 99999999999, 99999999999, 9] does not fit in memory"#);
    assert_snapshot!(refusal(&[("x", &npy("|u1", "(2, 3, 32, 32)", &[0; 3072]))]), @r#"array "x" of DIR/data.npz cannot be used: it has 3150 bytes, its header and shape [2, 3, 32, 32] need 6222"#);
}

#[test]
fn an_archive_that_lies_about_its_sizes_is_refused() {
    // The uncompressed size in the central directory grows to 2 GiB, and the array's header with it.
    let array = npy("|u1", "(2147483000, 1, 1, 1)", &[0; 64]);
    let archive = Archive::of(&[("x", &array)], CompressionMethod::Deflated);
    let mut bytes = fs::read(&archive.path).unwrap();
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let size = array.len() as u32 - 64 + 2_147_483_000;
    bytes[directory + 24..][..4].copy_from_slice(&size.to_le_bytes());
    fs::write(&archive.path, bytes).unwrap();
    assert_snapshot!(archive.refusal(), @r#"array "x" of DIR/data.npz cannot be used: it declares 2147483085 bytes, which 83 compressed bytes cannot hold"#);
}

#[test]
fn a_truncated_or_altered_archive_never_gives_images() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let archive = Archive::of(&[("x", &x()), ("y", &int64(&[2, 0, 1]))], method);
        let whole = fs::read(&archive.path).unwrap();
        let digest = archive.open(None).unwrap().digest().unwrap();
        for end in 0..whole.len() {
            fs::write(&archive.path, &whole[..end]).unwrap();
            assert!(archive.open(None).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 0x10;
            fs::write(&archive.path, altered).unwrap();
            // Some bytes say nothing about the arrays: dates, versions, flags.
            if let Ok(data) = archive.open(None)
                && data.label(0).is_some()
            {
                assert_eq!(data.digest().unwrap(), digest, "altered at {at}");
            }
        }
    }
}

#[test]
fn a_file_that_is_no_archive_is_named() {
    let archive = Archive::of(&[], CompressionMethod::Stored);
    fs::write(&archive.path, "not a zip file").unwrap();
    assert_snapshot!(archive.refusal(), @"DIR/data.npz is not a readable .npz archive: invalid Zip archive: Could not find EOCD");
    fs::remove_file(&archive.path).unwrap();
    assert_snapshot!(archive.refusal(), @"cannot read DIR/data.npz: No such file or directory (os error 2)");
}
