# What a run leaves for people: report.html, metrics.csv, run.json; also without a report of its own.
$ for i in a b c d e f; do echo "{\"prompt\": \"<b>$i\", \"completion\": \"of the data\"}"; done > d.jsonl
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --valid-fraction 0.3 --max-steps 4 --steps-per-report 2 --eval-on-start --threads 1 | grep -E "Val|Report"
Iter 0: Val loss *, Val took * (glob)
Iter 4: Val loss *, Val took * (glob)
Report: adapters/report.html
$ cut -d, -f1 adapters/metrics.csv | tr -d '\r' | paste -sd' '
step 0 2 4 4
$ grep -c 'Base model' adapters/report.html; grep -c '<b>[a-f]' adapters/report.html; grep -o 'Validation loss, base → tuned' adapters/report.html
2
0
Validation loss, base → tuned
? 0
# Written again from the files, also from the numbers alone.
$ cp adapters/report.html whole.html; rm adapters/report.html adapters/metrics.csv; hone report adapters; cmp whole.html adapters/report.html; ls adapters/metrics.csv
Wrote adapters/report.html
adapters/metrics.csv
$ rm adapters/run.json; hone report; grep -c '<svg' adapters/report.html
Wrote adapters/report.html
6
# Samples that were not asked for are written when they are.
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 1 --report-samples 0 --adapter-path none > log; grep -c 'Before and after' none/report.html; grep -oE '(Training|Validation) loss[^<]*' none/report.html | head -1
0
Training loss
# The base that writes samples anew is the run's, quantised as it was.
$ sum() { grep -oE '"(base|tuned)": *"[^"]*"' $1/run.json | cksum; }; hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 4 --learning-rate 1e-2 --load-in-4bit --adapter-path four > log; sum four > a; sed -i -E 's/, *"(base|tuned)": *"([^"\\]|\\.)*"//g' four/run.json; grep -c '"tuned"' four/run.json; hone report four; sum four > b; cmp a b
0
Wrote four/report.html
# The best validation is what is left of a run that ended by itself, the last step of another.
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --valid-fraction 0.3 --max-steps 6 --learning-rate 9 --load-best-model-at-end --eval-strategy steps --eval-steps 1 --save-strategy steps --save-steps 1 --adapter-path best --report-samples 0 --threads 1 > log; grep -o 'loss, first → [^<]*' best/report.html; sed -i 's/"finished"/"interrupted"/' best/run.json; hone report best --report-samples 0; grep -o 'loss, first → [^<]*' best/report.html
loss, first → best, which is kept
Wrote best/report.html
loss, first → last
# A killed run has a report too.
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 100000000 --save-strategy no --adapter-path killed > log & sleep 1; kill -9 $!; wait $! 2>/dev/null; grep -o '>running<' killed/report.html; hone report killed --report-samples 0; grep -oE '>unfinished<|no adapter is saved yet|Try it' killed/report.html
>running<
Wrote killed/report.html
>unfinished<
no adapter is saved yet
$ hone report d.jsonl
2> hone: d.jsonl: there is no such folder
? 1
$ mkdir empty; hone report empty
2> hone: empty has neither run.json nor metrics.jsonl, expected a folder that hone train wrote
? 1
