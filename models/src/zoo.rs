//! Shipped networks, embedded. Cards with data, training and accuracy lie beside the files in `models/zoo/`.

/// Name of the network in [`SHAPES_SDN`].
pub const SHAPES_SDN_NAME: &str = "shapes-sdn";

/// A residual network with five internal classifiers for [`crate::dataset::shapes`], as plain multi-output ONNX.
pub const SHAPES_SDN: &[u8] = include_bytes!("../zoo/shapes-sdn.onnx");
