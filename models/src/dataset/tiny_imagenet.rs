//! Tiny ImageNet as published: 200 classes of 64x64 colour pictures.
//!
//! Labels count the WordNet ids in byte order, as image-folder loaders of training frameworks do, not in the order
//! of `wnids.txt`. Source: Stanford CS231n, `tiny-imagenet-200.zip`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::files::{Files, is_image};
use super::folder::Listing;
use super::{DataError, PublishedSplit};
use crate::regular;

const FOLDER: &str = "tiny-imagenet-200";

/// Height and width of every picture.
const SIZE: (usize, usize) = (64, 64);

/// The first `limit` images of `split` in `dir`: training images by class, validation images as annotated.
pub(super) fn open(
    dir: &Path,
    split: PublishedSplit,
    names: Option<&[String]>,
    limit: usize,
) -> Result<Files, DataError> {
    let found = [dir.to_owned(), dir.join(FOLDER)].into_iter().find(|dir| dir.join("wnids.txt").is_file());
    let Some(root) = found else {
        let (what, expected) = ("Tiny ImageNet", "wnids.txt, there or in tiny-imagenet-200");
        return Err(DataError::Layout { dir: dir.to_owned(), what, expected });
    };
    let classes = Classes::read(&root, names)?;
    let (fragment, images) = match split {
        PublishedSplit::Train => ("#train", training(&root, &classes, limit)?),
        PublishedSplit::Test => ("", validation(&root, &classes, limit)?),
    };
    let name = format!("tiny-imagenet:{}{fragment}", root.display());
    if images.is_empty() {
        return Err(DataError::Empty { what: name });
    }
    let (paths, labels) = images.into_iter().unzip();
    Ok(Files {
        name,
        paths,
        labels: Some(labels),
        class_names: Some(classes.names),
        ignored: 0,
        size: Some(SIZE),
    })
}

/// WordNet ids in byte order, and the label of each.
struct Classes {
    ids: Vec<String>,
    labels: HashMap<String, usize>,
    names: Vec<String>,
}

impl Classes {
    /// Labels by order, or by `names`: WordNet ids, their words, or the first of their words.
    fn read(root: &Path, names: Option<&[String]>) -> Result<Self, DataError> {
        let path = root.join("wnids.txt");
        let id = |(number, line): (usize, &str)| {
            let id = line.trim_ascii();
            if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Ok(id.to_owned());
            }
            let (line, found) = (number + 1, id.chars().take(80).collect());
            Err(DataError::Line { path: path.clone(), line, expected: "a WordNet id", found })
        };
        let mut ids = text(&path)?.lines().enumerate().map(id).collect::<Result<Vec<_>, _>>()?;
        ids.retain(|id| !id.is_empty());
        ids.sort_unstable();
        ids.dedup();
        let words = words(root)?;
        let words_of = |id: &String| words.get(id).unwrap_or(id).clone();
        let first = |words: &str| words.split(", ").next().unwrap_or_default().to_owned();
        let label = |(order, id): (usize, &String)| {
            let Some(names) = names else { return Ok((id.clone(), order)) };
            let called = [id.clone(), words_of(id), first(&words_of(id))];
            match called.iter().find_map(|called| names.iter().position(|name| name == called)) {
                Some(label) => Ok((id.clone(), label)),
                None => Err(DataError::Class { dir: root.to_owned(), class: id.clone(), known: names.len() }),
            }
        };
        let labels = ids.iter().enumerate().map(label).collect::<Result<_, _>>()?;
        let names = match names {
            Some(names) => names.to_vec(),
            None => ids.iter().map(words_of).collect(),
        };
        Ok(Self { ids, labels, names })
    }
}

fn words(root: &Path) -> Result<HashMap<String, String>, DataError> {
    let path = root.join("words.txt");
    if !path.is_file() {
        return Ok(HashMap::new());
    }
    let pair = |line: &str| line.split_once('\t').map(|(id, words)| (id.to_owned(), words.trim().to_owned()));
    Ok(text(&path)?.lines().filter_map(pair).collect())
}

fn training(root: &Path, classes: &Classes, limit: usize) -> Result<Vec<(PathBuf, usize)>, DataError> {
    let mut images = Vec::new();
    for id in &classes.ids {
        if images.len() >= limit {
            break;
        }
        let folder = root.join("train").join(id).join("images");
        let label = classes.labels[id];
        images.extend(Listing::of(&folder)?.images.into_iter().map(|path| (path, label)));
    }
    images.truncate(limit);
    Ok(images)
}

fn validation(root: &Path, classes: &Classes, limit: usize) -> Result<Vec<(PathBuf, usize)>, DataError> {
    let path = root.join("val").join("val_annotations.txt");
    let folder = root.join("val").join("images");
    let image = |(number, line): (usize, &str)| {
        let refused = || {
            let (line, found) = (number + 1, line.chars().take(80).collect());
            let expected = "an image file, a tab and an id of wnids.txt";
            DataError::Line { path: path.clone(), line, expected, found }
        };
        let mut fields = line.split('\t');
        let (Some(file), Some(id)) = (fields.next(), fields.next()) else { return Err(refused()) };
        let mut parts = Path::new(file).components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else { return Err(refused()) };
        let label = *classes.labels.get(id).ok_or_else(refused)?;
        if !is_image(Path::new(file)) {
            return Err(refused());
        }
        Ok((folder.join(file), label))
    };
    text(&path)?.lines().enumerate().filter(|(_, line)| !line.is_empty()).take(limit).map(image).collect()
}

fn text(path: &Path) -> Result<String, DataError> {
    regular::read_to_string(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}
