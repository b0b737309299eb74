# What is done here by hand and by .ci/run alike. CARGO_TARGET_DIR and the like are honoured: they are
# cargo's own. CI=true turns what would be skipped into an error.

.DEFAULT_GOAL := help
.PHONY: demo test chaos observe image lint bench pipeline telemetry instructions peers capacity dashboards chart fmt help

demo: ## run the service with a fake Genesys and a fake upstream; ARGS="--traffic 200/s" adds flags
	cargo run --locked --quiet -- demo $(ARGS)

test: ## run all tests, and get what they need beyond Rust
	tests/prerequisites.sh
	cargo test --locked
	cargo test --locked --test observe -- --short

# Of what the tests need it asks only for HAProxy; without it `rollout` is left out, and says so.
chaos: ## run the program under load while all around it fails; SHORT=1 for minutes, ARGS="--only down" for a part
	cargo test --locked --profile chaos --test chaos -- $(if $(SHORT),--short) $(ARGS)

observe: ## run it with a real Prometheus, ask all that the dashboards ask, draw them; ARGS=--outage for an outage
	tests/prerequisites.sh
	cargo test --locked --test observe -- $(ARGS)

image: ## build the image of this machine's static binary, and run it in 64 MiB with all else taken away
	tests/prerequisites.sh
	deploy/build-image.sh
	cargo test --locked --test image -- $(ARGS)

# cargo-deny reads the manifests of all systems' crates, which a build does not fetch.
lint: ## check form, lints, documentation and dependencies
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --test chaos --test observe --test image --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked
	@if (cargo deny --version || cargo install --locked --version '^0.20' cargo-deny) && cargo fetch --locked; then \
		echo "cargo deny --offline check licenses bans sources"; \
		cargo deny --offline check licenses bans sources; \
	else \
		echo "SKIPPED: licences, bans and sources of dependencies: no cargo-deny, or not all crates could be fetched" >&2; \
		test "$(CI)" != true; \
	fi

# A part whose claims do not hold hides no other.
bench: ## measure calls with and without a network, next to peers; ARGS="--only holdline,bare-axum --rounds 1" is for these
	@$(MAKE) --no-print-directory --keep-going ARGS= pipeline telemetry instructions; others=$$?; \
		$(MAKE) --no-print-directory peers && exit $$others

pipeline: ## measure each kind of call without a network; ARGS=routes/hit for a part
	cargo bench --locked --bench pipeline -- $(ARGS)

telemetry: ## measure what telemetry costs; ARGS="--rate 500" for other calls
	cargo bench --locked --bench telemetry -- $(ARGS)

# With the profile of `make chaos`, whose build it shares. It wants Debian's valgrind.
instructions: ## count the instructions of each kind of call, and compare with the recorded; ARGS=--write records
	cargo bench --locked --profile chaos --bench instructions -- $(ARGS)

peers: ## compare the program with nginx, bare axum and others as far as they are there; ARGS=--growth for growth
	benches/peers/bench.py $(ARGS)

capacity: ## measure what a deployment is sized by; ARGS="--only memory" for a part, ARGS=--write for deploy/CAPACITY.md
	cargo bench --locked --bench capacity -- $(ARGS)

dashboards: ## write the dashboards, the rules and the page of metrics anew; RUNBOOKS=https://... says where runbooks are
	cargo run --locked --quiet --example dashboards

chart: ## write the chart's values, their table and its copies of dashboards and rules anew
	cargo run --locked --quiet --example chart

fmt: ## format the sources
	cargo fmt

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 21
