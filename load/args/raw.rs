//! What `raw` asks a server for that is not Kith: fields of the request, and who hears a message.

use http::{HeaderName, HeaderValue};

use crate::raw::Expect;

/// As they are typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For raw, whose server knows nothing of the messages")]
pub struct RawArgs {
    /// Who hears a message
    #[arg(long, value_enum)]
    expect: Option<Expect>,
    /// A field of the request, such as 'Cookie: a=b'; may be repeated
    #[arg(long, value_parser = parse_field, value_name = "FIELD")]
    header: Vec<(String, String)>,
    /// The subprotocol that is asked for, and has to be granted
    #[arg(long, value_parser = parse_subprotocol, value_name = "NAME")]
    subprotocol: Option<String>,
}

/// What is asked for when a WebSocket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// It has to be granted.
    pub subprotocol: Option<String>,
    /// Name and value of further fields.
    pub fields: Vec<(String, String)>,
}

impl RawArgs {
    /// Whether anything of it was typed.
    pub fn any(&self) -> bool {
        let asked = self.subprotocol.is_some() || !self.header.is_empty();
        asked || self.expect.is_some()
    }

    /// Who hears a message.
    pub fn expect(&self) -> Expect {
        self.expect.unwrap_or_default()
    }

    /// Apart.
    pub fn into_parts(self) -> (Expect, Offer) {
        let expect = self.expect();
        let offer = Offer {
            subprotocol: self.subprotocol,
            fields: self.header,
        };
        (expect, offer)
    }
}

/// `Name: value`.
fn parse_field(text: &str) -> Result<(String, String), String> {
    const LOOKS: &str = "a field looks like 'Name: value'";
    let (name, value) = text.split_once(':').ok_or(LOOKS)?;
    let name = HeaderName::try_from(name).map_err(|_| LOOKS)?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| LOOKS)?;
    let own = matches!(name.as_str(), "host" | "connection" | "upgrade");
    if own || name.as_str().starts_with("sec-websocket-") {
        return Err(format!("{name} is a field that the swarm sends by itself"));
    }
    let value = value.to_str().map_err(|_| LOOKS)?;
    Ok((name.as_str().to_owned(), value.to_owned()))
}

fn parse_subprotocol(text: &str) -> Result<String, String> {
    // RFC 6455 section 4.1: a token, as the name of a field is.
    match HeaderName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a subprotocol is one word, such as chat.v2".to_owned()),
    }
}
