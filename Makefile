# ENGINE=tf1 (Python 3.6 or 3.7, TensorFlow 1.14) or tf2 (Python 3.10 to 3.13, TensorFlow 2); without it
# tf1 where such a Python is found, else tf2. ARGS are passed on to the command.
ENGINE ?=
ARGS ?=
BENCHMARKS = bench/ops.py bench/train_step.py bench/generate.py

.PHONY: help env train quick test lint docs bench pictures paper

help:
	@echo 'make train   train config-e-fr (ARGS="--dataset=... --data-dir=...")'
	@echo 'make paper   make the tables and figures of the paper, small (ARGS="--dry-run")'
	@echo 'make quick   run the tests that catch most, in two minutes'
	@echo 'make test    run all the tests (ARGS="-k upfirdn")'
	@echo 'make lint    check style, types and Python 3.6 compatibility'
	@echo 'make docs    build the documentation as a site, in site/'
	@echo 'make bench   time ops, training steps and generation'
	@echo 'make pictures  make the pictures of README and docs again, from new networks'
	@echo 'make env     make the virtual environment only'
	@echo
	@echo 'ENGINE=tf1   Python 3.6 or 3.7 with TensorFlow 1.14, in .venv-tf1'
	@echo 'ENGINE=tf2   Python 3.10 to 3.13 with TensorFlow 2, in .venv-tf2'
	@echo 'Without ENGINE: tf1 where such a Python is found, else tf2.'

env:
	@tools/make_env.sh $(ENGINE)

train:
	@python=$$(tools/make_env.sh $(ENGINE)) && \
	$$python run_training.py --config=config-e-fr $(ARGS)

paper:
	@python=$$(tools/make_env.sh $(ENGINE)) && $$python run_paper.py $(ARGS)

quick:
	@python=$$(tools/make_env.sh $(ENGINE)) && \
	grep -v '^#' tests/quick.txt | xargs -d '\n' $$python -m pytest -q $(ARGS)

test:
	@python=$$(tools/make_env.sh $(ENGINE)) && $$python -m pytest $(ARGS)

lint:
	@python=$$(tools/make_env.sh lint) && bin=$$(dirname $$python) && \
	$$bin/ruff check . && \
	$$bin/ruff format --check . && \
	$$bin/vermin --quiet --no-tips --violations -t=3.6- . && \
	$$bin/clang-format --dry-run -Werror $$(git ls-files '*.cc' '*.h' '*.cu' '*.cuh') && \
	$$bin/mypy

docs:
	@python=$$(tools/make_env.sh docs) && $$python -m mkdocs build --strict --quiet $(ARGS)

bench:
	@python=$$(tools/make_env.sh $(ENGINE)) && \
	for script in $(BENCHMARKS); do $$python $$script $(ARGS) || exit 1; done

pictures:
	@python=$$(tools/make_env.sh $(ENGINE)) && $$python tools/make_pictures.py $(ARGS)
