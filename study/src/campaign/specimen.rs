//! Pictures of a set for reports: as they were, as they are stored.

use offramp_models::dataset::{Dataset, Picture, Samples};
use offramp_models::preprocess::Resampler;

use super::{CampaignError, Network};
use crate::adversarial::{CraftError, ImageEntry, SetManifest};
use crate::findings::Specimen;

/// At most `count` images of `set`, those whose exit or label changed first; `stored` are the set's pictures.
pub(super) fn specimens(
    name: &str,
    set: &SetManifest,
    network: &Network,
    [data, stored]: [&dyn Dataset; 2],
    count: usize,
) -> Result<Vec<Specimen>, CampaignError> {
    let changed =
        |image: &ImageEntry| image.exits[0] != image.exits[1] || image.predicted[0] != image.predicted[1];
    let mut order: Vec<usize> = (0..set.images.len()).collect();
    order.sort_by_key(|position| set.images.get(*position).is_some_and(|image| !changed(image)));
    order.truncate(count);
    let (mut resampler, mut specimens) = (Resampler::default(), Vec::new());
    for position in order {
        let Some(image) = set.images.get(position) else { continue };
        let after = stored.image(position)?;
        let shape = after.shape();
        let before = data.image(image.index)?;
        let before = resampler.bring_to(&before, shape).map_err(|source| CampaignError::Craft {
            network: network.name.clone(),
            set: name.to_owned(),
            source: Box::new(CraftError::Picture { image: image.index, source }),
        })?;
        specimens.push(Specimen {
            set: name.to_owned(),
            index: image.index,
            shape: [shape.channels, shape.height, shape.width],
            benign: bytes(before),
            stored: bytes(&after),
            exits: image.exits,
            predicted: image.predicted.map(|label| network.class(label)),
            label: image.label.map(|label| network.class(label)),
        });
    }
    Ok(specimens)
}

fn bytes(picture: &Picture) -> Vec<u8> {
    match picture.samples() {
        Samples::U8(samples) => samples.clone(),
        Samples::F32(samples) => samples.iter().map(|sample| (sample * 255.0).round() as u8).collect(),
    }
}
