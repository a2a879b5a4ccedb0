use insta::assert_snapshot;
use offramp_models::dataset::{Chw, Picture, Samples};
use offramp_models::preprocess::{Fit, HostBuffer, Preprocessor, Resampler};
use offramp_models::{DType, Input, Layout, Sha256};

use crate::sample::manifest;

fn input(channels: usize, height: usize, width: usize) -> Input {
    let shape = vec![None, Some(channels), Some(height), Some(width)];
    Input { shape, mean: None, std: None, ..manifest().input }
}

fn nhwc(input: Input) -> Input {
    let (channels, height, width) = input.chw();
    Input { layout: Layout::Nhwc, shape: vec![None, Some(height), Some(width), Some(channels)], ..input }
}

fn bytes(
    channels: usize,
    height: usize,
    width: usize,
    sample: impl Fn(usize, usize, usize) -> usize,
) -> Picture {
    let mut picture = Picture::default();
    let samples = picture.fill_u8(Chw { channels, height, width });
    for (at, slot) in samples.iter_mut().enumerate() {
        *slot = sample(at / (height * width), at / width % height, at % width) as u8;
    }
    picture
}

fn floats(input: &Input, picture: &Picture) -> Vec<f32> {
    let mut buffer = HostBuffer::default();
    Preprocessor::new(input).unwrap().apply(picture, &mut buffer).unwrap();
    buffer.float32().to_vec()
}

#[test]
fn every_byte_becomes_what_numpy_makes_of_it() {
    let picture = bytes(1, 16, 16, |_, row, column| row * 16 + column);
    let found = floats(&input(1, 16, 16), &picture);
    for (byte, value) in (0..=255u8).zip(found) {
        assert_eq!(value.to_bits(), (f32::from(byte) / 255.0).to_bits());
    }
    let found = floats(&Input { range: [0.0, 255.0], ..input(1, 16, 16) }, &picture);
    assert!((0..=255u8).map(f32::from).eq(found));
    let found = floats(&Input { range: [-1.0, 1.0], ..input(1, 16, 16) }, &picture);
    assert_eq!((found[0], found[255]), (-1.0, 1.0));
}

#[test]
fn mean_and_std_are_taken_per_channel_in_units_of_the_range() {
    let picture = bytes(3, 1, 1, |_, _, _| 51);
    let (mean, std) = (Some(vec![0.1, 0.2, 0.3]), Some(vec![0.5, 0.25, 2.0]));
    let scaled = Input { mean, std, ..input(3, 1, 1) };
    let expected = [(0.2f32 - 0.1) / 0.5, (0.2f32 - 0.2) / 0.25, (0.2f32 - 0.3) / 2.0];
    assert_eq!(floats(&scaled, &picture), expected);
}

#[test]
fn float_pictures_pass_unchanged() {
    let samples = vec![0.0, 1.0, 0.1, 1e-30, 0.333_333_34, 0.999_999_94];
    let picture =
        Picture::new(Chw { channels: 1, height: 2, width: 3 }, Samples::F32(samples.clone())).unwrap();
    assert_eq!(floats(&input(1, 2, 3), &picture), samples);
}

#[test]
fn a_network_of_bytes_gets_bytes() {
    let form = |range| Input { dtype: DType::Uint8, range, ..nhwc(input(3, 1, 2)) };
    let preprocessor = Preprocessor::new(&form([0.0, 255.0])).unwrap();
    let mut buffer = HostBuffer::default();
    preprocessor.apply(&bytes(3, 1, 2, |channel, _, column| channel * 10 + column), &mut buffer).unwrap();
    assert_eq!((buffer.uint8(), buffer.float32()), (&[0, 10, 20, 1, 11, 21][..], &[][..]));
    let samples = Samples::F32([0, 1, 127, 128, 254, 255].map(|byte| byte as f32 / 255.0).to_vec());
    let picture = Picture::new(Chw { channels: 3, height: 1, width: 2 }, samples).unwrap();
    preprocessor.apply(&picture, &mut buffer).unwrap();
    assert_eq!(buffer.uint8(), [0, 127, 254, 1, 128, 255]);
    assert_snapshot!(Preprocessor::new(&form([0.0, 1.0])).unwrap_err(), @r#"input "image" has uint8 elements to be scaled, expected range [0, 255] without mean and std for uint8"#);
}

#[test]
fn planes_become_pixels_where_the_network_wants_them() {
    let picture = bytes(3, 2, 2, |channel, row, column| channel * 100 + row * 10 + column);
    let found = floats(&Input { range: [0.0, 255.0], ..nhwc(input(3, 2, 2)) }, &picture);
    assert_eq!(found, [0, 100, 200, 1, 101, 201, 10, 110, 210, 11, 111, 211].map(|value| value as f32));
}

#[test]
fn grey_becomes_colour_alpha_is_dropped_and_nothing_else_is_guessed() {
    let colour = Input { range: [0.0, 255.0], ..input(3, 1, 1) };
    assert_eq!(floats(&colour, &bytes(1, 1, 1, |_, _, _| 9)), [9.0, 9.0, 9.0]);
    assert_eq!(floats(&colour, &bytes(4, 1, 1, |channel, _, _| channel)), [0.0, 1.0, 2.0]);
    let refused = |channels, picture: &Picture| {
        let preprocessor = Preprocessor::new(&input(channels, 1, 1)).unwrap();
        preprocessor.apply(picture, &mut HostBuffer::default()).unwrap_err().to_string()
    };
    assert_snapshot!(refused(1, &bytes(3, 1, 1, |_, _, _| 0)), @"a picture of 3 channels cannot become 1: only 1 to 3 and 4 to 3 are known");
    assert_snapshot!(refused(3, &bytes(2, 1, 1, |_, _, _| 0)), @"a picture of 2 channels cannot become 3: only 1 to 3 and 4 to 3 are known");
    assert_snapshot!(refused(3, &Picture::default()), @"a picture of 0x0x0 has no pixels");
}

#[test]
fn a_picture_of_another_size_becomes_what_pillow_makes_of_it() {
    // Pillow 13.0.0, torchvision's Resize(to) and CenterCrop(to) on this picture, first digits of the SHA-256.
    let golden = [
        ([64, 64], 32, "91bf9b0142bee609"),
        ([48, 64], 32, "9ab4dc3dff4fed2d"),
        ([65, 47], 32, "c432fbd9fa415004"),
        ([20, 31], 32, "9aaf69939209d942"),
        ([33, 100], 32, "f303d514ac398573"),
        ([7, 5], 224, "eee879ed01955d19"),
        ([375, 500], 224, "fe2687f03c8dd67f"),
        ([32, 33], 32, "8c30e69c0d3a0249"),
    ];
    let mut resampler = Resampler::default();
    for ([height, width], to, digest) in golden {
        let picture = bytes(3, height, width, |c, y, x| x * x * 7 + y * 13 + c * 29 + x * y * 5);
        let found = resampler.bring_to(&picture, Chw { channels: 3, height: to, width: to }).unwrap();
        let Samples::U8(samples) = found.samples() else { unreachable!("bytes stay bytes") };
        assert_eq!(Sha256::of(samples).prefix(16), digest, "{height}x{width} to {to}");
    }
}

#[test]
fn floats_are_resampled_as_bytes_are_and_stay_in_range() {
    let sample = |c: usize, y: usize, x: usize| x * 7 + y * 13 + c * 29;
    let picture = bytes(3, 50, 70, sample);
    let Samples::U8(samples) = picture.samples() else { unreachable!("bytes") };
    let samples = Samples::F32(samples.iter().map(|sample| f32::from(*sample) / 255.0).collect());
    let twin = Picture::new(picture.shape(), samples).unwrap();
    let input = input(3, 32, 32);
    for (byte, float) in floats(&input, &picture).into_iter().zip(floats(&input, &twin)) {
        // Bytes are rounded once per pass, floats are not.
        assert!((byte - float).abs() <= 1.01 / 255.0 && (0.0..=1.0).contains(&float), "{byte} {float}");
    }
    let white =
        Picture::new(Chw { channels: 1, height: 97, width: 61 }, Samples::F32(vec![1.0; 97 * 61])).unwrap();
    assert!(floats(&input, &white).iter().all(|value| (1.0 - value).abs() < 1e-6 && *value <= 1.0));
}

#[test]
fn a_picture_is_resampled_only_where_it_must_be() {
    let preprocessor = Preprocessor::new(&input(1, 4, 6)).unwrap();
    let mut buffer = HostBuffer::default();
    for (height, width, fit) in
        [(4, 6, Fit::Exact), (6, 4, Fit::Resized), (8, 12, Fit::Resized), (1, 900, Fit::Resized)]
    {
        let found = preprocessor.append(&bytes(1, height, width, |_, _, x| x), &mut buffer).unwrap();
        assert_eq!(found, fit);
    }
    assert_eq!((buffer.images(), buffer.float32().len()), (4, 4 * 24));
    let crop = bytes(1, 4, 9, |_, _, x| x);
    let exact: Vec<f32> = floats(&Input { range: [0.0, 255.0], ..input(1, 4, 6) }, &crop);
    assert_eq!(exact[..6], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn a_buffer_is_used_again_without_growing() {
    let preprocessor = Preprocessor::new(&input(3, 8, 8)).unwrap();
    let mut buffer = HostBuffer::default();
    preprocessor.apply(&bytes(3, 8, 8, |_, _, _| 1), &mut buffer).unwrap();
    let place = buffer.float32().as_ptr();
    for side in [8, 20, 5] {
        preprocessor.apply(&bytes(3, side, side, |_, _, _| 2), &mut buffer).unwrap();
        assert_eq!((buffer.float32().as_ptr(), buffer.images()), (place, 1));
    }
}

#[test]
fn an_input_that_no_picture_can_become_is_refused_by_name() {
    let refused = |change: fn(&mut Input)| {
        let mut input = input(3, 8, 8);
        change(&mut input);
        Preprocessor::new(&input).unwrap_err().to_string()
    };
    assert_snapshot!(refused(|input| input.dtype = DType::Int32), @r#"input "image" has int32 elements, expected float32 or uint8"#);
    assert_snapshot!(refused(|input| input.shape = vec![None, Some(10)]), @r#"input "image" has shape [batch, 10], expected a batch, channels, height and width"#);
    assert_snapshot!(refused(|input| input.range = [1.0, 1.0]), @r#"input "image" has range [1, 1], expected two rising numbers"#);
    assert_snapshot!(refused(|input| input.mean = Some(vec![0.5])), @r#"input "image" has mean of 1 numbers, expected one per channel"#);
}

#[test]
fn what_is_done_is_told_in_one_line() {
    assert_snapshot!(Preprocessor::new(&input(3, 32, 32)).unwrap().describe(), @"3x32x32 float32; folders of other sizes: resized to cover it (bilinear, antialiased), centre crop; range [0, 1]");
    assert_snapshot!(Preprocessor::new(&manifest().input).unwrap().describe(), @"3x32x32 float32; folders of other sizes: resized to cover it (bilinear, antialiased), centre crop; range [0, 1]; mean [0.485, 0.456, 0.406], std [0.229, 0.224, 0.225]");
}
