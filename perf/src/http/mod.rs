//! Just enough HTTP/1 to send requests cheaply and to notice every wrong answer.

pub(crate) mod answer;
pub(crate) mod chunked;
pub(crate) mod head;
pub(crate) mod request;
