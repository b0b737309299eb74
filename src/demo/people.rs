//! The customers of the fake CRM: each one follows from the number alone, in every run and on every
//! machine. Mail addresses are under `example.*` and telephone numbers from the ranges that regulators
//! keep free for fiction, so none of them reaches anybody.

use serde_json::{Value, json};

/// The first customer is the one that the public JSONPlaceholder API has under this number.
const FIRST: &str = r#"{
  "id": 1,
  "name": "Leanne Graham",
  "username": "Bret",
  "email": "Sincere@april.biz",
  "address": {
    "street": "Kulas Light",
    "suite": "Apt. 556",
    "city": "Gwenborough",
    "zipcode": "92998-3874",
    "geo": {"lat": "-37.3159", "lng": "81.1496"}
  },
  "phone": "1-770-736-8031 x56442",
  "website": "hildegard.org",
  "company": {
    "name": "Romaguera-Crona",
    "catchPhrase": "Multi-layered client-server neural-net",
    "bs": "harness real-time e-markets"
  }
}"#;

/// Every twentieth customer, beginning with this one, has no e-mail address: the key is absent.
const NO_EMAIL: (u64, u64) = (20, 13);

/// Every twenty-fifth customer, beginning with this one, has no telephone: the key holds null.
const NO_PHONE: (u64, u64) = (25, 7);

/// Where people come from: names as they are written and as they stand in an e-mail address, and
/// the forms of numbers, in which `#` stands for a digit.
struct Land {
    given: &'static [(&'static str, &'static str)],
    family: &'static [(&'static str, &'static str)],
    family_first: bool,
    streets: &'static [&'static str],
    cities: &'static [&'static str],
    zipcode: &'static str,
    phone: &'static str,
}

const LANDS: [Land; 8] = [
    Land {
        given: &[
            ("Grace", "grace"),
            ("Marcus", "marcus"),
            ("Renée", "renee"),
            ("Tyrone", "tyrone"),
        ],
        family: &[("Whitfield", "whitfield"), ("O'Connor", "oconnor"), ("Nguyen", "nguyen")],
        family_first: false,
        streets: &["Maple Avenue", "Kulas Light", "Harbor Boulevard"],
        cities: &["Portland", "Gwenborough", "Savannah"],
        zipcode: "#####-####",
        phone: "1-202-555-01## x####",
    },
    Land {
        given: &[("Saoirse", "saoirse"), ("Rhys", "rhys"), ("Imogen", "imogen"), ("Zoë", "zoe")],
        family: &[("Featherstone", "featherstone"), ("Okafor", "okafor"), ("Hughes", "hughes")],
        family_first: false,
        streets: &["Castle Street", "Station Road", "The Crescent"],
        cities: &["Leeds", "Aberystwyth", "Inverness"],
        zipcode: "LS# #AB",
        phone: "020 7946 0###",
    },
    Land {
        given: &[("Jürgen", "juergen"), ("Anneliese", "anneliese"), ("Sören", "soeren")],
        family: &[("Müller", "mueller"), ("Weiß", "weiss"), ("Schröder", "schroeder")],
        family_first: false,
        streets: &["Lindenstraße", "Am Alten Markt", "Schloßallee"],
        cities: &["Köln", "Görlitz", "Münster"],
        zipcode: "#####",
        phone: "+49 30 23125 ###",
    },
    Land {
        given: &[("Chloé", "chloe"), ("François", "francois"), ("Anaïs", "anais")],
        family: &[("Lefèvre", "lefevre"), ("Dupont-Moretti", "dupont-moretti"), ("Noël", "noel")],
        family_first: false,
        streets: &["rue de l'Église", "avenue Victor-Hugo", "quai des Brumes"],
        cities: &["Besançon", "Orléans", "Nîmes"],
        zipcode: "#####",
        phone: "+33 1 99 00 ## ##",
    },
    Land {
        given: &[("Łukasz", "lukasz"), ("Małgorzata", "malgorzata"), ("Zbigniew", "zbigniew")],
        family: &[("Wiśniewski", "wisniewski"), ("Żak", "zak"), ("Dąbrowska", "dabrowska")],
        family_first: false,
        streets: &["ulica Długa", "aleja Róż", "Rynek Główny"],
        cities: &["Łódź", "Kraków", "Gdańsk"],
        zipcode: "##-###",
        phone: "1-202-555-01##",
    },
    Land {
        given: &[("José Luis", "joseluis"), ("Begoña", "begona"), ("Íñigo", "inigo")],
        family: &[("Muñoz", "munoz"), ("Ibáñez", "ibanez"), ("de la Peña", "delapena")],
        family_first: false,
        streets: &["calle Mayor", "paseo del Río", "avenida de América"],
        cities: &["Logroño", "Cádiz", "A Coruña"],
        zipcode: "#####",
        phone: "1-305-555-01##",
    },
    Land {
        given: &[("陽子", "yoko"), ("健太", "kenta"), ("さくら", "sakura")],
        family: &[("佐藤", "sato"), ("高橋", "takahashi"), ("伊藤", "ito")],
        family_first: true,
        streets: &["銀座", "北大路", "栄町"],
        cities: &["東京", "京都市", "札幌市"],
        zipcode: "###-####",
        phone: "1-808-555-01##",
    },
    Land {
        given: &[("Αλέξανδρος", "alexandros"), ("Ελένη", "eleni"), ("Şebnem", "sebnem")],
        family: &[("Παπαδόπουλος", "papadopoulos"), ("Γεωργίου", "georgiou"), ("Yılmaz", "yilmaz")],
        family_first: false,
        streets: &["οδός Ερμού", "Bağdat Caddesi", "λεωφόρος Νίκης"],
        cities: &["Θεσσαλονίκη", "İzmir", "Πάτρα"],
        zipcode: "### ##",
        phone: "1-212-555-01##",
    },
];

const TRADES: [&str; 6] = ["Insurance", "Logistics", "Energy", "Optics", "Foods", "Travel"];

const PROMISES: [&str; 4] = [
    "Answers before the second ring",
    "One number for everything",
    "Nobody waits twice",
    "Still there on Sunday",
];

/// The customer of that number, in JSONPlaceholder's shape.
pub(super) fn customer(id: u64) -> Value {
    if id == 1 {
        return serde_json::from_str(FIRST).expect("FIRST is JSON");
    }
    let mut dice = Dice(id);
    let land = &LANDS[dice.below(LANDS.len())];
    let (given, given_ascii) = dice.pick(land.given);
    let (family, family_ascii) = dice.pick(land.family);
    let trade = dice.pick(&TRADES);
    let name = match land.family_first {
        true => format!("{family} {given}"),
        false => format!("{given} {family}"),
    };
    let mut customer = json!({
        "id": id,
        "name": name,
        "username": format!("{given_ascii}.{family_ascii}{id}"),
        "email": format!("{given_ascii}.{family_ascii}{id}@example.{}", dice.pick(&["com", "net", "org"])),
        "address": {
            "street": dice.pick(land.streets),
            "suite": format!("Apt. {}", 1 + dice.below(900)),
            "city": dice.pick(land.cities),
            "zipcode": dice.digits(land.zipcode),
            "geo": {
                "lat": format!("{:.4}", dice.below(1_800_000) as f64 / 10_000.0 - 90.0),
                "lng": format!("{:.4}", dice.below(3_600_000) as f64 / 10_000.0 - 180.0),
            },
        },
        "phone": dice.digits(land.phone),
        "website": format!("{family_ascii}.example.org"),
        "company": {
            "name": format!("{family} {trade}"),
            "catchPhrase": dice.pick(&PROMISES),
            "bs": format!("{} for everybody", trade.to_lowercase()),
        },
    });
    if id % NO_EMAIL.0 == NO_EMAIL.1 {
        customer.as_object_mut().expect("built as one above").shift_remove("email");
    }
    if id % NO_PHONE.0 == NO_PHONE.1 {
        customer["phone"] = Value::Null;
    }
    customer
}

/// Numbers that follow from a seed: splitmix64, which is good enough and four lines long.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut roll = self.0;
        roll = (roll ^ (roll >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        roll = (roll ^ (roll >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        roll ^= roll >> 31;
        usize::try_from(roll % sides as u64).expect("below a usize")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// `form` with a digit for each `#`.
    fn digits(&mut self, form: &str) -> String {
        let digit = |c| match c {
            '#' => char::from_digit(u32::try_from(self.below(10)).unwrap_or(0), 10).unwrap_or('0'),
            other => other,
        };
        form.chars().map(digit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_first_customer_is_the_one_of_the_tutorial() {
        let first = customer(1);
        assert_eq!(first["name"], "Leanne Graham");
        assert_eq!(first["email"], "Sincere@april.biz");
        assert_eq!(first["phone"], "1-770-736-8031 x56442");
    }

    #[test]
    fn a_customer_is_the_same_every_time() {
        let second = customer(2);
        assert_eq!(second, customer(2));
        let keys: Vec<_> = second.as_object().unwrap().keys().map(String::as_str).collect();
        let expected =
            ["id", "name", "username", "email", "address", "phone", "website", "company"];
        assert_eq!(keys, expected);
        // Written out, so that a change of the tables is noticed: documents quote it.
        assert_eq!(second["name"], "佐藤 さくら");
    }

    #[test]
    fn customers_are_varied_and_some_lack_something() {
        let all: Vec<_> = (1..=5_000).map(customer).collect();
        let texts =
            |key: &'static str| all.iter().filter_map(move |c| c[key].as_str().map(str::to_owned));
        assert!(texts("name").collect::<HashSet<_>>().len() > 60);
        assert!(texts("name").filter(|name| !name.is_ascii()).count() > 1_500);
        assert_eq!(texts("username").collect::<HashSet<_>>().len(), 5_000);
        assert_eq!(all.iter().filter(|c| c.get("email").is_none()).count(), 250);
        assert_eq!(all.iter().filter(|c| c["phone"].is_null()).count(), 200);
        assert!(texts("email").all(|email| email.is_ascii() && email.contains('@')));
    }
}
