# Restante: build, serve, test. Works on a fresh machine with Python 3.11+ and make; `make help` lists the targets.
# Everything lands in .venv; requirements*.txt pin and hash what is installed (docs/dependencies.md says why each).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v $$p; break; fi; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# One more than there are cores on a small machine: a third of a test's time is waiting for processes, sockets, timers.
JOBS ?= 3
# A test needs these programs; a missing one is shown as skipped by name.
CLIENTS := mbsync:isync curl:curl fetchmail:fetchmail getmail:getmail6 mutt:mutt neomutt:neomutt mpop:mpop tmux:tmux \
	aerc:aerc imapfilter:imapfilter interimap:interimap pullimap:pullimap offlineimap:offlineimap3 movemail:mailutils \
	/usr/share/perl5/Mail/IMAPClient.pm:libmail-imapclient-perl \
	ps:procps thunderbird:thunderbird doveconf:dovecot-core /usr/lib/dovecot/imap:dovecot-imapd \
	/usr/lib/dovecot/pop3:dovecot-pop3d /usr/lib/dovecot/lmtp:dovecot-lmtpd

.PHONY: help
help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

# The environment ------------------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "restante: Python 3.11 or newer is needed and was not found." >&2; exit 1; }
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
		else \
			echo "restante: $(PYTHON) cannot make environments; install your system's python3-venv package." >&2; \
			exit 1; \
		fi; \
	fi
	@"$(PYTHON)" -m venv $(VENV)

$(VENV)/.serve: requirements.txt requirements-build.txt pyproject.toml $(BIN)/python
	@echo "Preparing $(VENV) ..." >&2
	@$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.serve
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.fuzz: requirements-fuzz.txt $(VENV)/.dev
	@$(PIP) install --require-hashes -r requirements-fuzz.txt
	@touch $@

.PHONY: venv
venv: $(VENV)/.dev ## Make .venv with everything that developing needs.

# Running --------------------------------------------------------------------------------------------

.PHONY: serve
serve: $(VENV)/.serve ## Run the server with a demo account. MAIL=FOLDER imports more mail, DATA=DIR says where it lies.
	@set -- $(BIN)/restante serve --demo $(if $(DATA),--data "$(DATA)") $(if $(MAIL_GIVEN),--mail "$(MAIL)") $(ARGS); \
	if [ -t 0 ]; then set -m; "$$@"; else exec "$$@"; fi

# Job control (set -m) makes the server the terminal's foreground group: Ctrl-C reaches it alone, so that make ends
# as the server does, with status 0 and without a word.
# A login shell exports MAIL (its mailbox); only what stands on make's command line counts.
MAIL_GIVEN := $(filter command line,$(origin MAIL))

# Checking -------------------------------------------------------------------------------------------

.PHONY: test
test: $(VENV)/.dev clients lint ## Run everything: style, types, directions, tests with real mail programs.
	@$(BIN)/python -m compileall -q src
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and the directions between rooms.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: clients
clients: # install the mail programs that tests drive, when root and on Debian; say what is missing otherwise
	@missing=""; for pair in $(CLIENTS); do \
		command -v "$${pair%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/$${pair%%:*}" ] \
			|| [ -f "$${pair%%:*}" ] || missing="$$missing $${pair#*:}"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq >/dev/null 2>&1 && \
		DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1; \
	then :; else echo "Not installed, their tests are skipped by name:$$missing"; fi

.PHONY: bench
bench: $(VENV)/.dev clients ## Measure beside Dovecot. ARGS="--markdown FILE" writes the table; bench/compare.py --help says more.
	@$(BIN)/python bench/compare.py $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev ## Test for hours: COMMANDS=4000000 of many sessions on shared mailboxes (more than an hour), KILLS=2000 kills under load, PROGRAMS=2000 for the local copy, FAULTS=300 runs of the backup on a bad line.
	@RESTANTE_COMMANDS=$(or $(COMMANDS),4000000) RESTANTE_KILLS=$(or $(KILLS),2000) \
		RESTANTE_SYNC_PROGRAMS=$(or $(PROGRAMS),2000) RESTANTE_BACKUP_FAULTS=$(or $(FAULTS),300) \
		RESTANTE_BACKUP_KILLS=$(or $(BACKUP_KILLS),50) $(BIN)/python -m pytest tests/imap/test_stress.py \
		tests/crash/test_kill.py tests/sync/test_programs.py tests/sync/test_steps.py tests/sync/test_killed.py \
		tests/sync/test_standing_programs.py tests/sync/test_real_programs.py tests/backup/test_s3.py \
		tests/backup/test_kill.py $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.fuzz ## Fuzz the parsers for long: TARGET=imap alone, SECONDS=600 each.
	@for target in $(or $(TARGET),$$($(BIN)/python -c 'from tests.fuzz.targets import TARGETS; print(*TARGETS)')); do \
		echo "fuzzing $$target"; $(BIN)/python -m tests.fuzz.long "$$target" $(or $(SECONDS),600) || exit 1; \
	done

# Keeping house --------------------------------------------------------------------------------------

UV := $(VENV)/.lock/bin/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: lock
lock: $(BIN)/python ## Look for newer versions and write requirements*.txt anew (needs the network).
	@"$(PYTHON)" -m venv $(VENV)/.lock && $(VENV)/.lock/bin/python -m pip --quiet install uv
	@$(COMPILE) --upgrade pyproject.toml -o requirements.txt
	@$(COMPILE) --upgrade -c requirements.txt --group build -o requirements-build.txt
	@$(COMPILE) --upgrade -c requirements.txt -c requirements-build.txt pyproject.toml --group dev -o requirements-dev.txt
	@$(COMPILE) --upgrade -c requirements-dev.txt --group fuzz -o requirements-fuzz.txt

.PHONY: clean
clean: ## Remove .venv and all caches. Mail is left alone.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
