doteval run eval_sums.py --experiment baseline
