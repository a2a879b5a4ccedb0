//! From a picture to the network's input.
