//! What a bridge lets its clients call, and how a request becomes a call of it.

use super::{Arguments, Bridge, Classes, Invocation, JavaType, arguments_of};
use crate::json::{self, Json};

/// A method that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgedMethod {
    /// Its name. Several of one name differ in how many parameters they have.
    pub name: String,
    /// Types of its parameters.
    pub types: Vec<JavaType>,
    /// Nobody waits for its answer.
    pub is_one_way: bool,
}

/// A service that is bridged to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BridgedService {
    /// The interface.
    pub service: String,
    /// Its version; empty if it has none.
    pub version: String,
    /// Its group; empty if it has none.
    pub group: String,
    /// What may be called.
    pub methods: Vec<BridgedMethod>,
    /// Other methods may be called, too, by requests that say their types: `{"types": [..], "args": [..]}`.
    pub takes_types: bool,
    /// What may be made at the provider; those that the types of the methods name are among them.
    pub classes: Classes,
}

/// Why a request becomes no call: the client's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In HTTP's terms.
    pub status: u16,
    /// For the access log.
    pub details: &'static str,
    /// For the client.
    pub message: String,
}

impl Refused {
    /// A request that cannot be understood.
    fn because(details: &'static str, message: impl std::fmt::Display) -> Self {
        Refused { status: 400, details, message: message.to_string() }
    }
}

impl BridgedService {
    /// Whether there can be a call of this method.
    pub fn has_method(&self, name: &str) -> bool {
        self.takes_types && is_method_name(name) || self.methods.iter().any(|method| method.name == name)
    }

    /// Appends the frame of the call that `body` asks for. Tells whether it is one-way.
    ///
    /// # Errors
    /// What the client has wrong.
    pub fn write_call(
        &self,
        bridge: &Bridge,
        method: &str,
        body: &[u8],
        timeout_ms: Option<u32>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Refused> {
        let is_empty = body.iter().all(u8::is_ascii_whitespace);
        let json = if is_empty { Ok(None) } else { json::read(body).map(Some) };
        let json = json.map_err(|error| {
            Refused::because("bridge_body_is_no_json", format_args!("the body is no JSON: {error}"))
        })?;
        let is_listed = self.methods.iter().any(|listed| listed.name == method);
        let own;
        let (types, values, is_one_way) = if is_listed {
            let values = arguments_of(json);
            let chosen = self.choose(method, values.len())?;
            (&chosen.types[..], values, chosen.is_one_way)
        } else {
            let (types, values) = typed_arguments(json)?;
            own = types;
            (&own[..], values, false)
        };
        let invocation = Invocation {
            service: &self.service,
            version: &self.version,
            group: &self.group,
            method,
            types,
            timeout_ms,
            is_one_way,
        };
        let arguments = Arguments { values: &values, classes: &self.classes };
        (bridge.write_call)(&invocation, &arguments, out)
            .map_err(|mistake| Refused::because("bridge_argument_mismatch", mistake))?;
        Ok(is_one_way)
    }

    fn choose(&self, name: &str, count: usize) -> Result<&BridgedMethod, Refused> {
        let of_name = || self.methods.iter().filter(|method| method.name == name);
        of_name().find(|method| method.types.len() == count).ok_or_else(|| {
            let counts: Vec<String> = of_name().map(|method| method.types.len().to_string()).collect();
            let message =
                format!("{name} has {} parameters, and there are {count} arguments", counts.join(" or "));
            Refused::because("bridge_argument_count", message)
        })
    }
}

/// Whether Java could have a method of this name.
fn is_method_name(name: &str) -> bool {
    let is_first = |first: char| first.is_alphabetic() || matches!(first, '_' | '$');
    let is_other = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    name.len() <= 255 && name.chars().next().is_some_and(is_first) && name.chars().all(is_other)
}

/// Types and arguments that a client says itself. Of classes it may only name those of the configuration.
fn typed_arguments(json: Option<Json<'_>>) -> Result<(Vec<JavaType>, Vec<Json<'_>>), Refused> {
    const EXPECTED: &str =
        "the body is not {\"types\": [\"int\", ..], \"args\": [..]} with as many types as arguments";
    let refused = || Refused::because("bridge_types_missing", EXPECTED);
    let Some(Json::Object(members)) = json else { return Err(refused()) };
    let (mut types, mut values) = (None, None);
    for (name, member) in members {
        match (&*name, member) {
            ("types", Json::List(items)) => types = Some(items),
            ("args", Json::List(items)) => values = Some(items),
            _ => return Err(refused()),
        }
    }
    let (Some(types), Some(values)) = (types, values) else { return Err(refused()) };
    if types.len() != values.len() {
        return Err(refused());
    }
    let parsed: Result<Vec<JavaType>, Refused> = types.iter().map(type_of).collect();
    parsed.map(|types| (types, values))
}

fn type_of(json: &Json<'_>) -> Result<JavaType, Refused> {
    let Json::Text(text) = json else {
        return Err(Refused::because(
            "bridge_types_missing",
            format_args!("{} where a type belongs", json.kind()),
        ));
    };
    JavaType::parse(text).map_err(|expected| {
        Refused::because("bridge_types_missing", format_args!("{text:?} is not {expected}"))
    })
}
