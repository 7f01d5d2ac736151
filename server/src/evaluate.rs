//! The areas of the port for independent verification (`runtime::evaluate`): each calls what the server runs.

use runtime::evaluate::{Answer, Area, Input, UnusableInput};
use shared::metric::Metric;
use shared::nhs_number::NhsNumber;
use shared::ods_code::OdsCode;
use shared::plausibility::{Usability, mark_inconsistent, usability};
use shared::reading::{Quality, Reading};
use shared::units::{Decimal, Unit};

// The vectors' `implausible` is both our bands: an unlikely value is flagged and alarms all the same, which `usability`
// says.

/// The areas, by name.
pub const AREAS: &[Area] = &[("nhs-number", nhs_number), ("ods-code", ods_code), ("plausibility", plausibility)];

fn rejected(why: &dyn std::error::Error) -> Answer {
    Answer::of("rejected").with("reason", why.to_string().into())
}

fn nhs_number(input: &Input) -> Result<Answer, UnusableInput> {
    Ok(match input.text("text")?.parse::<NhsNumber>() {
        Err(why) => rejected(&why),
        Ok(number) => {
            Answer::of("ok").with("normalised", number.reveal().into()).with("range", number.range().name().into())
        }
    })
}

fn ods_code(input: &Input) -> Result<Answer, UnusableInput> {
    Ok(match input.text("text")?.parse::<OdsCode>() {
        Err(why) => rejected(&why),
        Ok(code) => Answer::of("ok").with("normalised", code.as_str().into()),
    })
}

/// A metric by the name the cases have for it, or by ours.
fn metric(name: &str) -> Option<Metric> {
    match name {
        "resp_rate" => Some(Metric::RespiratoryRate),
        "systolic" => Some(Metric::SystolicPressure),
        "diastolic" => Some(Metric::DiastolicPressure),
        "mean" => Some(Metric::MeanPressure),
        _ => Metric::from_name(name),
    }
}

fn decimal(input: &Input, key: &'static str) -> Result<Decimal, UnusableInput> {
    input.digits(key)?.parse().map_err(|_| UnusableInput::Value(key))
}

fn plausibility(input: &Input) -> Result<Answer, UnusableInput> {
    let unit = Unit::from_ucum(input.text("unit")?).ok_or(UnusableInput::Value("unit"))?;
    let reading = |metric, key| Ok(Reading::value(metric, decimal(input, key)?, unit, Quality::GOOD));
    let mut readings = if input.has("parameter") {
        let metric = metric(input.text("parameter")?).ok_or(UnusableInput::Value("parameter"))?;
        vec![reading(metric, "value")?]
    } else {
        vec![reading(Metric::SystolicPressure, "systolic")?, reading(Metric::DiastolicPressure, "diastolic")?]
    };
    mark_inconsistent(&mut readings);
    let is_refused = |usability: &Usability| matches!(usability, Usability::Implausible(_));
    let usability = readings.iter().map(usability).max_by_key(is_refused);
    let usability = usability.ok_or(UnusableInput::Key("value"))?;
    let answer = match usability {
        Usability::Valid { unlikely: false } => Answer::of("plausible"),
        Usability::Implausible(why) => Answer::of("implausible").with("reason", why.name().into()),
        _ => Answer::of("implausible").with("reason", "outside the band of likely values".into()),
    };
    Ok(answer.with("usability", usability.name().into()))
}

#[cfg(test)]
mod tests {
    use runtime::evaluate::{answer, named};
    use serde_json::{Value as Json, json};

    use super::*;

    fn answered(area: &str, input: Json) -> Json {
        answer(named(AREAS, area).unwrap(), &json!({ "id": 1, "input": input }).to_string())
    }

    #[test]
    fn a_number_is_judged_by_its_digits() {
        let judged =
            |value: Json| answered("plausibility", json!({ "parameter": "weight", "unit": "kg", "value": value }));
        assert_eq!(judged(json!(327.675))["reason"], "missing_data_code");
        assert_eq!(judged(json!(72.5))["outcome"], "plausible");
        assert_eq!(judged(json!("72.5"))["outcome"], "plausible", "a text keeps trailing zeros, and is taken too");
        let unlikely = judged(json!(310));
        assert_eq!((&unlikely["outcome"], &unlikely["usability"]), (&json!("implausible"), &json!("unlikely")));
        assert_eq!(judged(json!(true))["outcome"], "not-applicable");
        let unit = answered("plausibility", json!({ "parameter": "weight", "unit": "%", "value": 3 }));
        assert_eq!((&unit["outcome"], &unit["reason"]), (&json!("implausible"), &json!("wrong_unit")));
        let pair = |unit: &str, systolic: f64, diastolic: f64| {
            answered("plausibility", json!({ "unit": unit, "systolic": systolic, "diastolic": diastolic }))["reason"]
                .clone()
        };
        assert_eq!((pair("mm[Hg]", 120.0, 80.0), pair("kPa", 16.0, 10.7)), (Json::Null, Json::Null));
        assert_eq!(pair("mm[Hg]", 89.0, 80.0), "inconsistent");
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        let refused = answered("nhs-number", json!({ "text": "9434765918" }));
        assert_eq!(refused["outcome"], "rejected");
        assert!(!refused.to_string().contains("9434765918"), "{refused}");
    }
}
