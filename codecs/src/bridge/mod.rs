//! JSON to calls of bolt and Dubbo and back: arguments become hessian2 values of their Java types, so that a provider like any
//! other can be called, and what it answers becomes JSON. Pure functions: they know no connection.

mod answer;
mod arguments;
mod big_integer;
mod classes;
mod date;
mod dubbo;
mod java_type;
mod service;
mod sofa;
mod to_json;

pub use answer::{Answer, write_error};
pub use arguments::{Arguments, Mistake, arguments_of};
pub use classes::{Classes, Shape};
pub use dubbo::DUBBO;
pub use java_type::{JavaType, Kind, Primitive};
pub use service::{BridgedMethod, BridgedService, Refused};
pub use sofa::SOFA;

use crate::rpc::{Layout, RpcHead, whole_call};

/// A call to be written.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The interface.
    pub service: &'a str,
    /// Its version; empty if it has none.
    pub version: &'a str,
    /// Its group (SOFARPC: its unique id); empty if it has none.
    pub group: &'a str,
    /// What is called.
    pub method: &'a str,
    /// The types of the method's parameters.
    pub types: &'a [JavaType],
    /// How long the caller waits; `None` if for as long as it takes.
    pub timeout_ms: Option<u32>,
    /// Nobody waits for an answer.
    pub is_one_way: bool,
}

/// How a protocol of calls is bridged to.
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    /// Appends the frame of a call with as many arguments as types.
    pub write_call: fn(&Invocation<'_>, &Arguments<'_>, &mut Vec<u8>) -> Result<(), Mistake>,
    /// Reads the head of a whole frame that [`write_call`](Self::write_call) has written.
    pub head: for<'a> fn(&'a [u8]) -> Option<RpcHead<'a>>,
    /// Reads an answer's whole frame. The text it becomes has at most so many bytes. An error tells why it is none.
    pub read_answer: fn(&[u8], usize) -> Result<Answer, &'static str>,
}

impl Bridge {
    /// To a protocol of this layout.
    pub const fn of_layout<L: Layout>(
        write_call: fn(&Invocation<'_>, &Arguments<'_>, &mut Vec<u8>) -> Result<(), Mistake>,
        read_answer: fn(&[u8], usize) -> Result<Answer, &'static str>,
    ) -> Self {
        Bridge { write_call, head: whole_call::<L>, read_answer }
    }
}
