//! The protocols of framed calls, against frames of encoders that nobody here wrote (`golden_frames.txt`: npm's
//! sofa-bolt-node, hessian.js and @tars/stream, PyPI's thrift) and against bytes that nobody should send.

mod bounds;
mod checksums;
mod cuts;
mod detection;
mod exchanges;
mod fields;
mod frames;
mod golden;
mod hostile;
mod proxy;
mod strays;
mod support;
mod timeouts;
