//! An organisation of Genesys Cloud, as far as exported documents make one: it fetches its token and
//! calls actions as their templates say, in chunks, and holds answers against their contracts.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{client::Answer, in_time, program::Program};

/// An organisation into which the exported documents were imported.
#[derive(Debug)]
pub(crate) struct Organisation {
    client: reqwest::Client,
    /// The documents of its actions.
    actions: Vec<Value>,
    /// The request of its custom auth action, where its credential fetches a token.
    auth: Option<Value>,
    /// The names of the fields that its credential has.
    pub(crate) fields: Vec<String>,
    credentials: Vec<(&'static str, String)>,
    /// What the custom auth action was last told.
    told: Value,
}

impl Organisation {
    /// Exports the configuration `file` for callers who reach it at `origin`, and imports that.
    /// `credentials` are what its people fill in.
    pub(crate) async fn of(
        file: &Path,
        env: &[(&str, &str)],
        origin: &str,
        credentials: &[(&'static str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["genesys", "terraform"] {
            let to = folder.path().join(kind);
            let (file, to) = (file.to_str().unwrap(), to.to_str().unwrap());
            let args = ["export", kind, "-c", file, "--url", origin, "-o", to];
            let ended = Program::run(&args, env).await;
            assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
        }
        let documents = fs::read_dir(folder.path().join("genesys")).unwrap();
        let texts = documents.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let actions = texts.map(|text| serde_json::from_str(&text).unwrap()).collect();
        let terraform = fs::read_to_string(folder.path().join("terraform/holdline.tf")).unwrap();
        let terraform: Value = hcl::from_str(&terraform).unwrap();
        let flows = |kind: &str| terraform["resource"].get(kind).map(|all| &all["flows"]);
        let auth = flows("genesyscloud_integration_custom_auth_action");
        let held = &flows("genesyscloud_integration_credential").unwrap()["fields"];
        Self {
            client: super::service::client(),
            actions,
            auth: auth.map(|auth| auth["config_request"].clone()),
            fields: held.as_object().unwrap().keys().cloned().collect(),
            credentials: credentials
                .iter()
                .map(|(name, text)| (*name, (*text).to_owned()))
                .collect(),
            told: Value::Null,
        }
    }

    /// The same with connections of the test's own.
    pub(crate) fn over(mut self, client: reqwest::Client) -> Self {
        self.client = client;
        self
    }

    /// Fetches a token, and tells the status.
    pub(crate) async fn authenticate(&mut self) -> u16 {
        let auth = self.auth.as_ref().expect("its credential fetches tokens");
        let text = |key: &str| self.rendered(auth[key].as_str().unwrap(), &Value::Null);
        assert_eq!(auth["request_type"], "POST");
        let request = self.client.post(text("request_url_template")).body(text("request_template"));
        let headers = auth["headers"].as_object().unwrap();
        let request = self.with_headers(request, headers);
        let response = in_time("a token", request.send()).await.unwrap();
        let status = response.status().as_u16();
        self.told = response.json().await.unwrap();
        status
    }

    /// Calls an action with these inputs. A good answer has kept the contract.
    pub(crate) async fn call(&self, action: &str, inputs: Value) -> Answer {
        let document = self.actions.iter().find(|document| document["name"] == action).unwrap();
        let request = &document["config"]["request"];
        let text = |key: &str| self.rendered(request[key].as_str().unwrap(), &inputs);
        assert_eq!(request["requestType"], "POST");
        let body = text("requestTemplate");
        let half = body.len() / 2;
        let chunks = [&body.as_bytes()[..half], &body.as_bytes()[half..]];
        let chunks = chunks.map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        let sent = self.client.post(text("requestUrlTemplate")).body(body);
        let sent = self.with_headers(sent, request["headers"].as_object().unwrap());
        let answer = in_time("an answer", async {
            let response = sent.send().await.expect("the service answers");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer::checked(status, headers, response.bytes().await.expect("it is whole"))
        });
        let answer = answer.await;
        if answer.status == 200 {
            assert_eq!(document["config"]["response"]["successTemplate"], "${rawResult}");
            let schema = &document["contract"]["output"]["successSchema"];
            jsonschema::draft4::validate(schema, &answer.json())
                .unwrap_or_else(|error| panic!("{action}: {error}: {answer:?}"));
        }
        answer
    }

    /// The outputs of an action that answers with 200.
    pub(crate) async fn outputs(&self, action: &str, inputs: Value) -> Value {
        let answer = self.call(action, inputs).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn with_headers(
        &self,
        request: reqwest::RequestBuilder,
        headers: &Map<String, Value>,
    ) -> reqwest::RequestBuilder {
        headers.iter().fold(request, |request, (name, template)| {
            request.header(name, self.rendered(template.as_str().unwrap(), &Value::Null))
        })
    }

    /// What Velocity makes of a template, as far as exports write any: references, and the one tool
    /// for Basic.
    fn rendered(&self, template: &str, inputs: &Value) -> String {
        // Terraform's own escape.
        let mut text = template.replace("$${", "${");
        for (name, value) in &self.credentials {
            text = text.replace(&format!("${{credentials.{name}}}"), value);
        }
        for (name, value) in self.told.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text = text.replace(&format!("${{authResponse.{name}}}"), &value);
        }
        if let Some((before, rest)) = text.split_once("$encoding.base64(\"") {
            let (plain, after) = rest.split_once("\")").expect("its end");
            text = format!("{before}{}{after}", STANDARD.encode(plain));
        }
        text.replace("${input.rawRequest}", &inputs.to_string())
    }
}
