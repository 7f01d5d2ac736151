//! Decoded fields as the JSON of the vectors.

use serde_json::{Value as Json, json};
use shared::observation::DeviceTime;
use shared::units::Decimal;

use crate::decode::medfloat::Medfloat;

/// A decimal: its digits and the nearest float.
pub(super) fn decimal(value: Decimal) -> Json {
    let text = value.to_string();
    let number: f64 = text.parse().unwrap_or(f64::NAN);
    json!({ "decimal": text, "number": number })
}

/// The nearest float.
pub(super) fn number(value: Decimal) -> Json {
    value.to_string().parse().map_or(Json::Null, |number: f64| number.into())
}

/// A time of a device that knows all of it.
pub(super) fn iso(time: DeviceTime) -> Json {
    let DeviceTime { year, month, day, hour, minute, second } = time;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").into()
}

/// A float of a device: a decimal, or the name of its special value.
pub(super) fn float(value: Medfloat) -> Json {
    match value {
        Ok(value) => decimal(value),
        Err(special) => json!({ "special": special.name(), "value": null }),
    }
}

/// The device's time; an unknown part is null.
pub(super) fn date_time(time: DeviceTime) -> Json {
    let known = |part: u16| if part == 0 { Json::Null } else { part.into() };
    json!({
        "year": known(time.year), "month": known(time.month.into()), "day": known(time.day.into()),
        "hour": time.hour, "minute": time.minute, "second": time.second,
    })
}

/// A field that may not be there.
pub(super) fn optional<T>(value: Option<T>, json: impl FnOnce(T) -> Json) -> Json {
    value.map_or(Json::Null, json)
}
