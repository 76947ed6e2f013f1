BEGIN TRANSACTION;
CREATE TABLE "ablation" (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	selection VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	operation VARCHAR DEFAULT 'scale' NOT NULL, 
	gain DOUBLE, 
	n_neurons INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	UNIQUE (model_id, task_id, selection, operation, gain, target)
);
INSERT INTO "ablation" VALUES(1,1,1,1,6,'top 1%','cat','scale',0.0,2);
CREATE TABLE ablation_control (
	ablation_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	draw INTEGER NOT NULL, 
	delta DOUBLE, 
	PRIMARY KEY (ablation_id, position, draw), 
	FOREIGN KEY(ablation_id) REFERENCES ablation (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "ablation_control" VALUES(1,0,0,-0.25);
INSERT INTO "ablation_control" VALUES(1,0,1,0.25);
INSERT INTO "ablation_control" VALUES(1,1,0,0.0);
INSERT INTO "ablation_control" VALUES(1,1,1,0.25);
CREATE TABLE ablation_effect (
	ablation_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	class_id INTEGER, 
	n_clips INTEGER NOT NULL, 
	accuracy_unablated DOUBLE, 
	accuracy_ablated DOUBLE, 
	delta DOUBLE, 
	ci_low DOUBLE, 
	ci_high DOUBLE, 
	p_value DOUBLE, 
	q_value DOUBLE, 
	control_delta_mean DOUBLE, 
	control_delta_low DOUBLE, 
	control_delta_high DOUBLE, 
	n_controls INTEGER NOT NULL, control_p_value DOUBLE, beyond_control DOUBLE, beyond_control_low DOUBLE, beyond_control_high DOUBLE, activity_control_delta_mean DOUBLE, activity_control_delta_low DOUBLE, activity_control_delta_high DOUBLE, n_activity_controls INTEGER, group_ci_low DOUBLE, group_ci_high DOUBLE, n_heads INTEGER, delta_heads_low DOUBLE, delta_heads_high DOUBLE, 
	PRIMARY KEY (ablation_id, position), 
	FOREIGN KEY(ablation_id) REFERENCES ablation (id) ON DELETE CASCADE, 
	FOREIGN KEY(class_id) REFERENCES task_class (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "ablation_effect" VALUES(1,0,NULL,4,0.75,0.5,-0.25,-0.5,0.0,0.5,0.5,0.0,-0.25,0.25,2,1.0,-0.25,-0.5,0.25,-0.125,-0.25,0.0,2,NULL,NULL,6,-0.5,0.0);
INSERT INTO "ablation_effect" VALUES(1,1,1,2,1.0,0.5,-0.5,-1.0,NULL,0.25,0.5,0.125,0.0,0.25,2,3.33333333333333314829e-01,-0.625,-1.0,0.0,NULL,NULL,NULL,0,-0.75,-0.25,6,-0.5,-0.25);
CREATE TABLE ablation_flip (
	ablation_id INTEGER NOT NULL, 
	clip_id INTEGER NOT NULL, 
	predicted_before INTEGER NOT NULL, 
	predicted_after INTEGER NOT NULL, 
	PRIMARY KEY (ablation_id, clip_id), 
	FOREIGN KEY(ablation_id) REFERENCES ablation (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "ablation_flip" VALUES(1,3,1,2);
CREATE TABLE ablation_neuron (
	ablation_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	PRIMARY KEY (ablation_id, neuron_id), 
	FOREIGN KEY(ablation_id) REFERENCES ablation (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "ablation_neuron" VALUES(1,1);
INSERT INTO "ablation_neuron" VALUES(1,3);
CREATE TABLE activation_probability (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	positive_count BIGINT NOT NULL, 
	PRIMARY KEY (model_task_id, neuron_id, class_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "activation_probability" VALUES(1,1,1,10);
INSERT INTO "activation_probability" VALUES(1,1,2,0);
INSERT INTO "activation_probability" VALUES(1,2,1,0);
INSERT INTO "activation_probability" VALUES(1,2,2,0);
INSERT INTO "activation_probability" VALUES(1,3,1,4);
INSERT INTO "activation_probability" VALUES(1,3,2,2);
CREATE TABLE activation_quantile (
	model_dataset_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	levels_json VARCHAR NOT NULL, 
	quantiles BLOB NOT NULL, 
	PRIMARY KEY (model_dataset_id), 
	FOREIGN KEY(model_dataset_id) REFERENCES model_dataset (id) ON DELETE CASCADE, 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL
);
INSERT INTO "activation_quantile" VALUES(1,3,'[0.0, 0.5, 1.0]',X'000000000000803F00000040000000000000000000000000000080BF0000003F00000041');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE attribute (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE, 
	UNIQUE (dataset_id, name)
);
INSERT INTO "attribute" VALUES(1,1,0,'animal');
INSERT INTO "attribute" VALUES(2,1,1,'place');
CREATE TABLE attribution (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	n_clips INTEGER NOT NULL, 
	n_checked INTEGER NOT NULL, 
	n_clips_checked INTEGER NOT NULL, 
	spearman_all DOUBLE, 
	spearman_random DOUBLE, 
	spearman_highest DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	UNIQUE (model_id, task_id)
);
INSERT INTO "attribution" VALUES(1,1,1,1,5,3,1,2,1.0,NULL,0.5);
CREATE TABLE attribution_check_value (
	attribution_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	attribution DOUBLE, 
	measured DOUBLE, 
	in_highest INTEGER NOT NULL, 
	PRIMARY KEY (attribution_id, neuron_id, class_id), 
	FOREIGN KEY(attribution_id) REFERENCES attribution (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "attribution_check_value" VALUES(1,3,2,0.5,0.75,1);
CREATE TABLE class_specific_neuron (
	selection_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	lift DOUBLE, 
	p_value DOUBLE, 
	q_value DOUBLE, 
	replicated INTEGER, lift_low DOUBLE, lift_high DOUBLE, share_of_draws DOUBLE, n_folds_held INTEGER, n_folds INTEGER, p_value_cleaned DOUBLE, explained_by VARCHAR, 
	PRIMARY KEY (selection_id, neuron_id, class_id), 
	FOREIGN KEY(selection_id) REFERENCES selection (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "class_specific_neuron" VALUES(1,1,1,9.0,0.001,0.01,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "class_specific_neuron" VALUES(1,3,2,1.0,0.02,0.04,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "class_specific_neuron" VALUES(2,1,1,9.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE class_total (
	model_task_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	n_clips INTEGER NOT NULL, 
	token_count BIGINT NOT NULL, 
	PRIMARY KEY (model_task_id, class_id), 
	FOREIGN KEY(class_id) REFERENCES task_class (id) ON DELETE CASCADE, 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "class_total" VALUES(1,1,2,20);
INSERT INTO "class_total" VALUES(1,2,1,10);
CREATE TABLE clip (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	path VARCHAR NOT NULL, 
	split VARCHAR NOT NULL, 
	duration_seconds DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE, 
	UNIQUE (dataset_id, position)
);
INSERT INTO "clip" VALUES(1,1,0,'train/a.wav','train',1.5);
INSERT INTO "clip" VALUES(2,1,1,'train/b.wav','train',2.0);
INSERT INTO "clip" VALUES(3,1,2,'test/c.wav','test',0.5);
CREATE TABLE "clip_label" (
	clip_id INTEGER NOT NULL, 
	attribute_id INTEGER NOT NULL, 
	value VARCHAR NOT NULL, split VARCHAR, 
	PRIMARY KEY (clip_id, attribute_id, value), 
	FOREIGN KEY(attribute_id) REFERENCES attribute (id) ON DELETE CASCADE, 
	FOREIGN KEY(clip_id) REFERENCES clip (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "clip_label" VALUES(1,1,'cat',NULL);
INSERT INTO "clip_label" VALUES(1,2,'home',NULL);
INSERT INTO "clip_label" VALUES(2,1,'dog',NULL);
INSERT INTO "clip_label" VALUES(3,1,'cat',NULL);
CREATE TABLE clip_pattern (
	model_dataset_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	patterns BLOB NOT NULL, 
	PRIMARY KEY (model_dataset_id, neuron_id), 
	FOREIGN KEY(model_dataset_id) REFERENCES model_dataset (id) ON DELETE CASCADE
);
INSERT INTO "clip_pattern" VALUES(1,1,X'01789C636660660081060726062620CD08E63100796C408A09C203D260F1FF0D0CFF8114970858102804005E4C03B6');
INSERT INTO "clip_pattern" VALUES(1,2,X'01789C636260640081067B26308B09CC6380F2FE0311001BE30308');
INSERT INTO "clip_pattern" VALUES(1,3,X'01789C6362606200034746061620C508E101696620F9DF18CC010010BE0182');
CREATE TABLE confound_probe (
	model_task_id INTEGER NOT NULL, 
	feature VARCHAR NOT NULL, 
	group_name VARCHAR NOT NULL, 
	metric VARCHAR, 
	accuracy DOUBLE, 
	ci_low DOUBLE, 
	ci_high DOUBLE, 
	chance DOUBLE, 
	n_clips INTEGER NOT NULL, 
	mark VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (model_task_id, feature, group_name), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "confound_probe" VALUES(1,'level','','accuracy',0.75,0.5,1.0,0.5,4,'over chance','');
INSERT INTO "confound_probe" VALUES(1,'model, groups mixed','place',NULL,NULL,NULL,NULL,NULL,0,'','one group');
CREATE TABLE contrast_clip (
	model_dataset_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	rank INTEGER NOT NULL, 
	clip_id INTEGER NOT NULL, 
	activation_rate DOUBLE, 
	mean_activation DOUBLE, 
	PRIMARY KEY (model_dataset_id, neuron_id, kind, rank), 
	FOREIGN KEY(model_dataset_id) REFERENCES model_dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "contrast_clip" VALUES(1,1,'silent',1,2,0.0,-0.125);
INSERT INTO "contrast_clip" VALUES(1,2,'middle',1,1,0.5,0.25);
INSERT INTO "contrast_clip" VALUES(1,2,'silent',1,2,0.0,-0.125);
INSERT INTO "contrast_clip" VALUES(1,3,'silent',1,1,0.0,-0.125);
CREATE TABLE dataset (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	root VARCHAR NOT NULL, 
	content_key VARCHAR NOT NULL, 
	split_origin VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	licence VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "dataset" VALUES(1,'pets','/audio/pets','content-1','official','','','');
CREATE TABLE layer (
	model_id INTEGER NOT NULL, 
	layer INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	PRIMARY KEY (model_id, layer), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "layer" VALUES(1,0,2);
INSERT INTO "layer" VALUES(1,1,1);
CREATE TABLE model (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	weights_key VARCHAR NOT NULL, 
	n_layers INTEGER NOT NULL, 
	n_neurons INTEGER NOT NULL, 
	first_neuron_id INTEGER NOT NULL, 
	sample_rate INTEGER NOT NULL, 
	n_parameters BIGINT NOT NULL, 
	description VARCHAR NOT NULL, 
	licence VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "model" VALUES(1,'tiny','weights-1',2,3,1,16000,99,'A tiny encoder','MIT');
CREATE TABLE model_dataset (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE, 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	UNIQUE (model_id, dataset_id)
);
INSERT INTO "model_dataset" VALUES(1,1,1,1,2);
CREATE TABLE model_task (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	n_clips INTEGER NOT NULL, 
	n_classes INTEGER NOT NULL, 
	warnings_json VARCHAR NOT NULL, shuffled VARCHAR DEFAULT 'clips' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	UNIQUE (model_id, task_id)
);
INSERT INTO "model_task" VALUES(1,1,1,1,1,3,2,'["class dog has a single clip"]','clips within place');
CREATE TABLE neuron (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	layer INTEGER NOT NULL, 
	neuron INTEGER NOT NULL, 
	flat_index INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	UNIQUE (model_id, layer, neuron)
);
INSERT INTO "neuron" VALUES(1,1,0,0,0);
INSERT INTO "neuron" VALUES(2,1,0,1,1);
INSERT INTO "neuron" VALUES(3,1,1,0,2);
CREATE TABLE neuron_attribution_value (
	attribution_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	attribution INTEGER, 
	standard_error INTEGER, 
	n_clips INTEGER NOT NULL, 
	PRIMARY KEY (attribution_id, neuron_id, class_id), 
	FOREIGN KEY(attribution_id) REFERENCES attribution (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "neuron_attribution_value" VALUES(1,3,2,500000,250000,3);
CREATE TABLE neuron_confound (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	rho_level INTEGER, 
	rho_duration INTEGER, 
	rho_silence INTEGER, 
	PRIMARY KEY (model_task_id, neuron_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "neuron_confound" VALUES(1,2,-5000,NULL,0);
CREATE TABLE neuron_entropy (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	entropy DOUBLE, 
	entropy_rank INTEGER, 
	max_probability DOUBLE NOT NULL, 
	top_class_id INTEGER, p_value DOUBLE, q_value DOUBLE, 
	PRIMARY KEY (model_task_id, neuron_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "neuron_entropy" VALUES(1,1,0.0,1,0.5,1,0.01,0.02);
INSERT INTO "neuron_entropy" VALUES(1,2,NULL,NULL,0.0,NULL,NULL,NULL);
INSERT INTO "neuron_entropy" VALUES(1,3,6.93147180559945286226e-01,2,0.2,1,0.5,0.5);
CREATE TABLE neuron_preference (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	log_odds DOUBLE, 
	ci_low DOUBLE, 
	ci_high DOUBLE, 
	PRIMARY KEY (model_task_id, neuron_id, class_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "neuron_preference" VALUES(1,3,1,-0.5,-1.0,0.0);
CREATE TABLE pitch_tuning (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	peak_rate DOUBLE NOT NULL, 
	floor_rate DOUBLE NOT NULL, 
	preferred_pitch INTEGER NOT NULL, 
	preferred_low DOUBLE, 
	preferred_high DOUBLE, 
	center DOUBLE, 
	center_low DOUBLE, 
	center_high DOUBLE, 
	bandwidth_semitones DOUBLE, 
	bandwidth_low DOUBLE, 
	bandwidth_high DOUBLE, 
	octave_equivalence_index DOUBLE, 
	oei_low DOUBLE, 
	oei_high DOUBLE, 
	PRIMARY KEY (model_task_id, neuron_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "pitch_tuning" VALUES(1,1,0.5,0.125,60,58.0,62.5,61.0,60.0,62.0,3.5,NULL,NULL,0.25,0.0,0.5);
CREATE TABLE probe (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	settings_json VARCHAR NOT NULL, 
	skipped VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	UNIQUE (model_id, task_id)
);
INSERT INTO "probe" VALUES(1,1,1,1,4,'{"learning_rate": 0.01}','');
CREATE TABLE probe_score (
	probe_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	split VARCHAR NOT NULL, 
	class_id INTEGER, 
	n_clips INTEGER NOT NULL, 
	accuracy DOUBLE, 
	chance DOUBLE, metric VARCHAR DEFAULT 'accuracy' NOT NULL, 
	PRIMARY KEY (probe_id, position), 
	FOREIGN KEY(class_id) REFERENCES task_class (id) ON DELETE CASCADE, 
	FOREIGN KEY(probe_id) REFERENCES probe (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "probe_score" VALUES(1,0,'test',NULL,4,0.75,0.5,'accuracy');
INSERT INTO "probe_score" VALUES(1,1,'test',1,2,1.0,0.5,'accuracy');
INSERT INTO "probe_score" VALUES(1,2,'valid',2,2,0.5,0.5,'accuracy');
CREATE TABLE problem (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	path VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
INSERT INTO "problem" VALUES(1,1,'train/broken.wav','cannot be decoded');
CREATE TABLE run (
	id INTEGER NOT NULL, 
	model_name VARCHAR NOT NULL, 
	started_at VARCHAR NOT NULL, 
	finished_at VARCHAR, 
	status VARCHAR NOT NULL, 
	config_json VARCHAR NOT NULL, 
	seed BIGINT NOT NULL, 
	code_version VARCHAR NOT NULL, 
	versions_json VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	seconds_extract DOUBLE, 
	seconds_score DOUBLE, 
	seconds_ablate DOUBLE, 
	notes_json VARCHAR, 
	PRIMARY KEY (id)
);
INSERT INTO "run" VALUES(1,'tiny','2026-11-29T20:49:40+00:00','2026-11-29T20:49:40+00:00','done','{"seed": 3}',3,'0.1.0','{"numpy": "2"}','cpu',1.0,2.0,3.0,'[]');
CREATE TABLE selection (
	id INTEGER NOT NULL, 
	model_task_id INTEGER NOT NULL, 
	preset VARCHAR NOT NULL, 
	settings_json VARCHAR NOT NULL, 
	n_classes_covered INTEGER NOT NULL, 
	n_class_specific INTEGER NOT NULL, 
	n_pairs INTEGER NOT NULL, 
	replicated_share DOUBLE, 
	replicated_share_all_pairs DOUBLE, 
	n_shuffles INTEGER NOT NULL, 
	null_coverage_mean DOUBLE, 
	null_coverage_low DOUBLE, 
	null_coverage_high DOUBLE, 
	null_n_class_specific_mean DOUBLE, 
	null_n_pairs_mean DOUBLE, null_n_class_specific_low DOUBLE, null_n_class_specific_high DOUBLE, null_n_pairs_low DOUBLE, null_n_pairs_high DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE, 
	UNIQUE (model_task_id, preset)
);
INSERT INTO "selection" VALUES(1,1,'calibrated','{"lift": 2.0}',2,2,2,0.5,0.2,200,0.25,0.0,0.5,0.75,1.5,NULL,NULL,NULL,NULL);
INSERT INTO "selection" VALUES(2,1,'aape','{"entropy_rate": 0.01}',1,1,1,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "selection" VALUES(3,1,'lape','{}',0,0,0,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE selection_curve (
	model_task_id INTEGER NOT NULL, 
	preset VARCHAR NOT NULL, 
	entropy_rate DOUBLE NOT NULL, 
	probability_bar DOUBLE NOT NULL, 
	n_classes_covered INTEGER NOT NULL, 
	coverage DOUBLE NOT NULL, 
	n_class_specific INTEGER NOT NULL, 
	null_coverage_mean DOUBLE, 
	null_coverage_low DOUBLE, 
	null_coverage_high DOUBLE, 
	null_n_class_specific_mean DOUBLE, 
	null_n_class_specific_low DOUBLE, 
	null_n_class_specific_high DOUBLE, 
	n_shuffles INTEGER NOT NULL, 
	PRIMARY KEY (model_task_id, preset, entropy_rate, probability_bar), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "selection_curve" VALUES(1,'aape',0.01,0.95,1,0.5,1,0.25,0.0,0.5,0.5,0.0,1.0,200);
CREATE TABLE selector_pair (
	model_task_id INTEGER NOT NULL, 
	selector_a VARCHAR NOT NULL, 
	selector_b VARCHAR NOT NULL, 
	spearman DOUBLE, 
	overlap DOUBLE, 
	expected_overlap DOUBLE, 
	n_classes INTEGER NOT NULL, 
	PRIMARY KEY (model_task_id, selector_a, selector_b), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "selector_pair" VALUES(1,'auroc','mad',0.5,1.0,0.25,2);
CREATE TABLE selector_score (
	model_task_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	class_id INTEGER NOT NULL, 
	mad INTEGER, 
	cas INTEGER, 
	auroc INTEGER, 
	d_prime INTEGER, 
	selectivity_index INTEGER, 
	PRIMARY KEY (model_task_id, neuron_id, class_id), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "selector_score" VALUES(1,1,1,-2500000,2500,NULL,NULL,-10000);
INSERT INTO "selector_score" VALUES(1,3,2,125000,-5000,7500,15000,10000);
CREATE TABLE shared_neuron (
	sharing_id INTEGER NOT NULL, 
	class_a_id INTEGER NOT NULL, 
	class_b_id INTEGER NOT NULL, 
	n_a INTEGER NOT NULL, 
	n_b INTEGER NOT NULL, 
	n_shared INTEGER NOT NULL, 
	expected DOUBLE, 
	p_value DOUBLE, 
	q_value DOUBLE, nested INTEGER DEFAULT '0' NOT NULL, odds_ratio DOUBLE, odds_low DOUBLE, odds_high DOUBLE, 
	PRIMARY KEY (sharing_id, class_a_id, class_b_id), 
	FOREIGN KEY(class_a_id) REFERENCES task_class (id) ON DELETE CASCADE, 
	FOREIGN KEY(class_b_id) REFERENCES task_class (id) ON DELETE CASCADE, 
	FOREIGN KEY(sharing_id) REFERENCES sharing (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "shared_neuron" VALUES(1,1,2,1,1,0,3.33333333333333314829e-01,1.0,NULL,1,0.5,0.25,NULL);
CREATE TABLE sharing (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	preset VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	UNIQUE (model_id, preset)
);
INSERT INTO "sharing" VALUES(1,1,1,8,'calibrated');
CREATE TABLE specificity (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	selection VARCHAR NOT NULL, 
	operation VARCHAR NOT NULL, 
	gain DOUBLE, 
	n_classes INTEGER NOT NULL, 
	n_neurons DOUBLE, 
	self_effect DOUBLE, 
	cross_effect DOUBLE, 
	specificity DOUBLE, 
	ci_low DOUBLE, 
	ci_high DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	FOREIGN KEY(stage_id) REFERENCES stage (id) ON DELETE SET NULL, 
	UNIQUE (model_id, task_id, selection, operation, gain)
);
INSERT INTO "specificity" VALUES(1,1,1,7,'top 1%','mean',NULL,2,2.0,-0.5,0.0,0.5,NULL,NULL);
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('attribution_check_value','attribution_check_value','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('neuron','sqlite_autoindex_neuron_1','3 3 2 1');
INSERT INTO "sqlite_stat1" VALUES('shared_neuron','ix_shared_neuron_class_b_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('shared_neuron','ix_shared_neuron_class_a_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('shared_neuron','shared_neuron','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('contrast_clip','contrast_clip','4 4 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('stability','stability','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('clip','sqlite_autoindex_clip_1','3 3 1');
INSERT INTO "sqlite_stat1" VALUES('activation_quantile','ix_activation_quantile_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('attribute','sqlite_autoindex_attribute_1','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_flip','ablation_flip','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('stage','ix_stage_run_id','8 8');
INSERT INTO "sqlite_stat1" VALUES('stage','sqlite_autoindex_stage_1','8 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_neuron','ix_ablation_neuron_neuron','2 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_neuron','ablation_neuron','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('selector_score','selector_score','2 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('layer','layer','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('class_total','ix_class_total_class_id','2 1');
INSERT INTO "sqlite_stat1" VALUES('class_total','class_total','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('attribution','ix_attribution_task_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('attribution','ix_attribution_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('attribution','sqlite_autoindex_attribution_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('selection_curve','selection_curve','1 1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('alembic_version','sqlite_autoindex_alembic_version_1','1 1');
INSERT INTO "sqlite_stat1" VALUES('problem','ix_problem_dataset_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('model','sqlite_autoindex_model_1','1 1');
INSERT INTO "sqlite_stat1" VALUES('class_specific_neuron','ix_class_specific_neuron_class','3 2 1');
INSERT INTO "sqlite_stat1" VALUES('class_specific_neuron','class_specific_neuron','3 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('clip_pattern','sqlite_autoindex_clip_pattern_1','3 3 1');
INSERT INTO "sqlite_stat1" VALUES('run',NULL,'1');
INSERT INTO "sqlite_stat1" VALUES('neuron_preference','ix_neuron_preference_class','1 1 1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('neuron_preference','neuron_preference','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('task_class','sqlite_autoindex_task_class_1','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('probe','ix_probe_task_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('probe','ix_probe_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('probe','sqlite_autoindex_probe_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('activation_probability','activation_probability','6 6 2 1');
INSERT INTO "sqlite_stat1" VALUES('neuron_confound','neuron_confound','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('task','ix_task_dataset_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('task','sqlite_autoindex_task_2','1 1');
INSERT INTO "sqlite_stat1" VALUES('task','sqlite_autoindex_task_1','1 1');
INSERT INTO "sqlite_stat1" VALUES('confound_probe','confound_probe','2 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('model_task','ix_model_task_task_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('model_task','ix_model_task_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('model_task','sqlite_autoindex_model_task_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_control','ablation_control','4 4 2 1');
INSERT INTO "sqlite_stat1" VALUES('top_clip','top_clip','3 3 2 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_effect','ix_ablation_effect_class_id','2 1');
INSERT INTO "sqlite_stat1" VALUES('ablation_effect','ablation_effect','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('ablation','ix_ablation_task_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('ablation','ix_ablation_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('ablation','sqlite_autoindex_ablation_1','1 1 1 1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('neuron_attribution_value','ix_neuron_attribution_value_class','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('neuron_attribution_value','neuron_attribution_value','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('neuron_entropy','neuron_entropy','3 3 1');
INSERT INTO "sqlite_stat1" VALUES('clip_label','ix_clip_label_value','4 2 2');
INSERT INTO "sqlite_stat1" VALUES('clip_label','clip_label','4 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('probe_score','ix_probe_score_class_id','3 1');
INSERT INTO "sqlite_stat1" VALUES('probe_score','probe_score','3 3 1');
INSERT INTO "sqlite_stat1" VALUES('token_grid','token_grid','2 2 1');
INSERT INTO "sqlite_stat1" VALUES('dataset','sqlite_autoindex_dataset_1','1 1');
INSERT INTO "sqlite_stat1" VALUES('model_dataset','ix_model_dataset_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('model_dataset','ix_model_dataset_dataset_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('model_dataset','sqlite_autoindex_model_dataset_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('selection','sqlite_autoindex_selection_1','3 3 1');
INSERT INTO "sqlite_stat1" VALUES('sharing','ix_sharing_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('sharing','sqlite_autoindex_sharing_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('pitch_tuning','pitch_tuning','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('selector_pair','selector_pair','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('specificity','ix_specificity_task_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('specificity','ix_specificity_stage_id','1 1');
INSERT INTO "sqlite_stat1" VALUES('specificity','sqlite_autoindex_specificity_1','1 1 1 1 1 1');
CREATE TABLE stability (
	model_task_id INTEGER NOT NULL, 
	preset VARCHAR NOT NULL, 
	n_halves INTEGER NOT NULL, 
	whole_groups INTEGER NOT NULL, 
	n_pairs_mean DOUBLE, 
	jaccard_mean DOUBLE, 
	jaccard_low DOUBLE, 
	jaccard_high DOUBLE, 
	jaccard_expected DOUBLE, 
	entropy_spearman DOUBLE, 
	n_draws INTEGER, 
	share_of_draws DOUBLE, 
	share_expected DOUBLE, 
	PRIMARY KEY (model_task_id, preset), 
	FOREIGN KEY(model_task_id) REFERENCES model_task (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "stability" VALUES(1,'lape',10,1,7.5,0.5,0.25,0.75,0.125,NULL,5,0.5,0.0);
CREATE TABLE stage (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	finished_at VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	UNIQUE ("key")
);
INSERT INTO "stage" VALUES(1,'tiny/score',1,'score','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(2,'tiny/top_clips',1,'top_clips','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(3,'tiny/traces',1,'traces','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(4,'tiny/probe',1,'probe','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(5,'tiny/attribution',1,'attribution','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(6,'tiny/ablate',1,'ablate','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(7,'tiny/specificity',1,'specificity','2026-11-29T20:49:40+00:00');
INSERT INTO "stage" VALUES(8,'tiny/share',1,'share','2026-11-29T20:49:40+00:00');
CREATE TABLE task (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	attribute_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(attribute_id) REFERENCES attribute (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE, 
	UNIQUE (attribute_id), 
	UNIQUE (name)
);
INSERT INTO "task" VALUES(1,1,1,'pets-animal');
CREATE TABLE task_class (
	id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE, 
	UNIQUE (task_id, name)
);
INSERT INTO "task_class" VALUES(1,1,0,'cat');
INSERT INTO "task_class" VALUES(2,1,1,'dog');
CREATE TABLE token_grid (
	model_id INTEGER NOT NULL, 
	layer INTEGER NOT NULL, 
	n_bands INTEGER NOT NULL, 
	column_seconds DOUBLE, 
	span_seconds DOUBLE, 
	chunk_seconds DOUBLE, 
	chunk_columns INTEGER, 
	band_edges_json VARCHAR NOT NULL, 
	PRIMARY KEY (model_id, layer), 
	FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "token_grid" VALUES(1,0,2,0.25,0.5,1.25,4,'[50.0, 1000.0, 8000.0]');
INSERT INTO "token_grid" VALUES(1,1,1,NULL,NULL,NULL,NULL,'[0.0, 8000.0]');
CREATE TABLE top_clip (
	model_dataset_id INTEGER NOT NULL, 
	neuron_id INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	clip_id INTEGER NOT NULL, 
	activation_rate DOUBLE, 
	mean_activation DOUBLE, 
	PRIMARY KEY (model_dataset_id, neuron_id, rank), 
	FOREIGN KEY(model_dataset_id) REFERENCES model_dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "top_clip" VALUES(1,1,1,3,0.75,1.5);
INSERT INTO "top_clip" VALUES(1,1,2,1,0.5,1.0);
INSERT INTO "top_clip" VALUES(1,3,1,2,0.25,0.125);
CREATE INDEX ix_problem_dataset_id ON problem (dataset_id);
CREATE INDEX ix_stage_run_id ON stage (run_id);
CREATE INDEX ix_task_dataset_id ON task (dataset_id);
CREATE INDEX ix_model_dataset_dataset_id ON model_dataset (dataset_id);
CREATE INDEX ix_model_dataset_stage_id ON model_dataset (stage_id);
CREATE INDEX ix_sharing_stage_id ON sharing (stage_id);
CREATE INDEX ix_model_task_stage_id ON model_task (stage_id);
CREATE INDEX ix_model_task_task_id ON model_task (task_id);
CREATE INDEX ix_probe_stage_id ON probe (stage_id);
CREATE INDEX ix_probe_task_id ON probe (task_id);
CREATE INDEX ix_ablation_effect_class_id ON ablation_effect (class_id);
CREATE INDEX ix_ablation_neuron_neuron ON ablation_neuron (neuron_id);
CREATE INDEX ix_class_total_class_id ON class_total (class_id);
CREATE INDEX ix_probe_score_class_id ON probe_score (class_id);
CREATE INDEX ix_shared_neuron_class_a_id ON shared_neuron (class_a_id);
CREATE INDEX ix_shared_neuron_class_b_id ON shared_neuron (class_b_id);
CREATE INDEX ix_class_specific_neuron_class ON class_specific_neuron (selection_id, class_id);
CREATE INDEX ix_clip_label_value ON clip_label (attribute_id, value);
CREATE INDEX ix_ablation_stage_id ON ablation (stage_id);
CREATE INDEX ix_ablation_task_id ON ablation (task_id);
CREATE INDEX ix_attribution_stage_id ON attribution (stage_id);
CREATE INDEX ix_attribution_task_id ON attribution (task_id);
CREATE INDEX ix_specificity_stage_id ON specificity (stage_id);
CREATE INDEX ix_specificity_task_id ON specificity (task_id);
CREATE INDEX ix_activation_quantile_stage_id ON activation_quantile (stage_id);
CREATE INDEX ix_neuron_preference_class ON neuron_preference (model_task_id, class_id, log_odds, ci_low, ci_high);
CREATE INDEX ix_neuron_attribution_value_class ON neuron_attribution_value (attribution_id, class_id, attribution) WHERE attribution > 0;
CREATE VIEW runs AS
SELECT id AS run_id, started_at, finished_at, status, model_name AS model, config_json,
       code_version, device, seconds_extract, seconds_score, seconds_ablate, seed, versions_json, notes_json
FROM run;
CREATE VIEW clip_labels AS
SELECT dataset.name AS dataset, clip.id AS clip_id, clip.path,
       COALESCE(clip_label.split, clip.split) AS split, clip.duration_seconds,
       attribute.name AS attribute, clip_label.value
FROM clip_label
JOIN clip ON clip.id = clip_label.clip_id
JOIN attribute ON attribute.id = clip_label.attribute_id
JOIN dataset ON dataset.id = clip.dataset_id;
CREATE VIEW activation_probabilities AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task,
       task_class.name AS class_name, neuron.layer, neuron.neuron,
       activation_probability.positive_count, class_total.token_count,
       CAST(activation_probability.positive_count AS DOUBLE PRECISION) / NULLIF(class_total.token_count, 0) AS activation_probability
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.model_id = model_task.model_id
JOIN activation_probability ON activation_probability.model_task_id = model_task.id
    AND activation_probability.neuron_id = neuron.id
JOIN class_total ON class_total.model_task_id = model_task.id
    AND class_total.class_id = activation_probability.class_id
JOIN task_class ON task_class.id = activation_probability.class_id;
CREATE VIEW neuron_selectivity AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       neuron.layer, neuron.neuron, neuron_entropy.entropy, neuron_entropy.max_probability,
       task_class.name AS top_class,
       CASE WHEN EXISTS (
           SELECT 1 FROM class_specific_neuron
           WHERE class_specific_neuron.selection_id = selection.id
             AND class_specific_neuron.neuron_id = neuron.id
       ) THEN 1 ELSE 0 END AS is_class_specific,
       model_task.n_classes, neuron_entropy.entropy_rank, neuron_entropy.p_value AS entropy_p_value,
       neuron_entropy.q_value AS entropy_q_value
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN selection ON selection.model_task_id = model_task.id
JOIN neuron ON neuron.model_id = model_task.model_id
JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id
    AND neuron_entropy.neuron_id = neuron.id
LEFT JOIN task_class ON task_class.id = neuron_entropy.top_class_id;
CREATE VIEW class_specific_neurons AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       task_class.name AS class_name, neuron.layer, neuron.neuron,
       (
           SELECT CAST(activation_probability.positive_count AS DOUBLE PRECISION) / NULLIF(class_total.token_count, 0)
           FROM activation_probability
           JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
               AND class_total.class_id = activation_probability.class_id
           WHERE activation_probability.model_task_id = model_task.id
             AND activation_probability.neuron_id = class_specific_neuron.neuron_id
             AND activation_probability.class_id = class_specific_neuron.class_id
       ) AS activation_probability,
       (
           SELECT neuron_entropy.entropy FROM neuron_entropy
           WHERE neuron_entropy.model_task_id = model_task.id
             AND neuron_entropy.neuron_id = class_specific_neuron.neuron_id
       ) AS entropy,
       class_specific_neuron.lift, class_specific_neuron.p_value, class_specific_neuron.q_value,
       class_specific_neuron.replicated, class_specific_neuron.lift_low, class_specific_neuron.lift_high,
       class_specific_neuron.share_of_draws, class_specific_neuron.n_folds_held, class_specific_neuron.n_folds,
       class_specific_neuron.p_value_cleaned, class_specific_neuron.explained_by
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN selection ON selection.model_task_id = model_task.id
JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
JOIN neuron ON neuron.id = class_specific_neuron.neuron_id
    AND neuron.model_id = model_task.model_id
JOIN task_class ON task_class.id = class_specific_neuron.class_id;
CREATE VIEW task_coverage AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       model_task.n_clips, model_task.n_classes, selection.n_classes_covered,
       CAST(selection.n_classes_covered AS DOUBLE PRECISION) / NULLIF(model_task.n_classes, 0)
           AS coverage,
       selection.n_class_specific, selection.null_coverage_mean, selection.null_coverage_low,
       selection.null_coverage_high, selection.null_n_class_specific_mean, selection.n_shuffles,
       selection.n_pairs, selection.replicated_share, selection.replicated_share_all_pairs,
       selection.null_n_pairs_mean, selection.settings_json, selection.null_n_class_specific_low,
       selection.null_n_class_specific_high, selection.null_n_pairs_low, selection.null_n_pairs_high,
       model_task.shuffled
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN selection ON selection.model_task_id = model_task.id;
CREATE VIEW probe_accuracy AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, probe_score.split,
       task_class.name AS class_name, probe_score.n_clips, probe_score.accuracy, probe_score.chance,
       probe_score.metric
FROM probe
JOIN model ON model.id = probe.model_id
JOIN task ON task.id = probe.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN probe_score ON probe_score.probe_id = probe.id
LEFT JOIN task_class ON task_class.id = probe_score.class_id;
CREATE VIEW ablation_effects AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection,
       ablation.target, task_class.name AS affected_class, ablation.gain, ablation.n_neurons,
       ablation_effect.n_clips, ablation_effect.accuracy_unablated,
       ablation_effect.accuracy_ablated, ablation_effect.delta, ablation_effect.ci_low,
       ablation_effect.ci_high, ablation_effect.p_value, ablation_effect.q_value,
       ablation_effect.control_delta_mean, ablation_effect.control_delta_low,
       ablation_effect.control_delta_high, ablation_effect.n_controls, ablation.id AS ablation_id,
       ablation.operation, ablation_effect.control_p_value, ablation_effect.beyond_control,
       ablation_effect.beyond_control_low, ablation_effect.beyond_control_high,
       ablation_effect.activity_control_delta_mean, ablation_effect.activity_control_delta_low,
       ablation_effect.activity_control_delta_high, ablation_effect.n_activity_controls,
       ablation_effect.group_ci_low, ablation_effect.group_ci_high, ablation_effect.n_heads,
       ablation_effect.delta_heads_low, ablation_effect.delta_heads_high
FROM ablation
JOIN model ON model.id = ablation.model_id
JOIN task ON task.id = ablation.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
LEFT JOIN task_class ON task_class.id = ablation_effect.class_id;
CREATE VIEW shared_neurons AS
SELECT model.name AS model, sharing.preset, task_a.name AS task_a, class_a.name AS class_a,
       task_b.name AS task_b, class_b.name AS class_b, shared_neuron.n_a, shared_neuron.n_b,
       shared_neuron.n_shared, shared_neuron.expected, shared_neuron.p_value, shared_neuron.q_value,
       shared_neuron.nested, shared_neuron.odds_ratio, shared_neuron.odds_low, shared_neuron.odds_high
FROM sharing
JOIN model ON model.id = sharing.model_id
JOIN shared_neuron ON shared_neuron.sharing_id = sharing.id
JOIN task_class AS class_a ON class_a.id = shared_neuron.class_a_id
JOIN task AS task_a ON task_a.id = class_a.task_id
JOIN task_class AS class_b ON class_b.id = shared_neuron.class_b_id
JOIN task AS task_b ON task_b.id = class_b.task_id;
CREATE VIEW top_clips AS
SELECT model.name AS model, dataset.name AS dataset, neuron.layer, neuron.neuron, top_clip.rank,
       top_clip.clip_id, clip.path, top_clip.activation_rate, top_clip.mean_activation
FROM model_dataset
JOIN model ON model.id = model_dataset.model_id
JOIN dataset ON dataset.id = model_dataset.dataset_id
JOIN neuron ON neuron.model_id = model_dataset.model_id
JOIN top_clip ON top_clip.model_dataset_id = model_dataset.id
    AND top_clip.neuron_id = neuron.id
JOIN clip ON clip.id = top_clip.clip_id;
CREATE VIEW neuron_clips AS
SELECT model.name AS model, dataset.name AS dataset, neuron.layer, neuron.neuron, 'top' AS kind, top_clip.rank,
       top_clip.clip_id, clip.path, top_clip.activation_rate, top_clip.mean_activation
FROM model_dataset
JOIN model ON model.id = model_dataset.model_id
JOIN dataset ON dataset.id = model_dataset.dataset_id
JOIN neuron ON neuron.model_id = model_dataset.model_id
JOIN top_clip ON top_clip.model_dataset_id = model_dataset.id
    AND top_clip.neuron_id = neuron.id
JOIN clip ON clip.id = top_clip.clip_id
UNION ALL
SELECT model.name AS model, dataset.name AS dataset, neuron.layer, neuron.neuron, contrast_clip.kind AS kind, contrast_clip.rank,
       contrast_clip.clip_id, clip.path, contrast_clip.activation_rate, contrast_clip.mean_activation
FROM model_dataset
JOIN model ON model.id = model_dataset.model_id
JOIN dataset ON dataset.id = model_dataset.dataset_id
JOIN neuron ON neuron.model_id = model_dataset.model_id
JOIN contrast_clip ON contrast_clip.model_dataset_id = model_dataset.id
    AND contrast_clip.neuron_id = neuron.id
JOIN clip ON clip.id = contrast_clip.clip_id;
CREATE VIEW coverage_curves AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection_curve.preset, selection_curve.entropy_rate, selection_curve.probability_bar, selection_curve.n_classes_covered, selection_curve.coverage, selection_curve.n_class_specific, selection_curve.null_coverage_mean, selection_curve.null_coverage_low, selection_curve.null_coverage_high, selection_curve.null_n_class_specific_mean, selection_curve.null_n_class_specific_low, selection_curve.null_n_class_specific_high, selection_curve.n_shuffles
FROM selection_curve
JOIN model_task ON model_task.id = selection_curve.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id;
CREATE VIEW selector_scores AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name, neuron.layer, neuron.neuron, CAST(selector_score.mad AS DOUBLE PRECISION) / 1000000 AS mad, CAST(selector_score.cas AS DOUBLE PRECISION) / 10000 AS cas, CAST(selector_score.auroc AS DOUBLE PRECISION) / 10000 AS auroc, CAST(selector_score.d_prime AS DOUBLE PRECISION) / 10000 AS d_prime, CAST(selector_score.selectivity_index AS DOUBLE PRECISION) / 10000 AS selectivity_index
FROM selector_score
JOIN model_task ON model_task.id = selector_score.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = selector_score.neuron_id
JOIN task_class ON task_class.id = selector_score.class_id;
CREATE VIEW selector_agreement AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selector_pair.selector_a, selector_pair.selector_b, selector_pair.spearman, selector_pair.overlap, selector_pair.expected_overlap, selector_pair.n_classes
FROM selector_pair
JOIN model_task ON model_task.id = selector_pair.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id;
CREATE VIEW selection_stability AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, stability.preset, stability.n_halves, stability.whole_groups, stability.n_pairs_mean, stability.jaccard_mean, stability.jaccard_low, stability.jaccard_high, stability.jaccard_expected, stability.entropy_spearman, stability.n_draws, stability.share_of_draws, stability.share_expected
FROM stability
JOIN model_task ON model_task.id = stability.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id;
CREATE VIEW confound_probes AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, confound_probe.feature, confound_probe.group_name, confound_probe.metric, confound_probe.accuracy, confound_probe.ci_low, confound_probe.ci_high, confound_probe.chance, confound_probe.n_clips, confound_probe.mark, confound_probe.reason
FROM confound_probe
JOIN model_task ON model_task.id = confound_probe.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id;
CREATE VIEW neuron_confounds AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, neuron.layer, neuron.neuron, CAST(neuron_confound.rho_level AS DOUBLE PRECISION) / 10000 AS rho_level, CAST(neuron_confound.rho_duration AS DOUBLE PRECISION) / 10000 AS rho_duration, CAST(neuron_confound.rho_silence AS DOUBLE PRECISION) / 10000 AS rho_silence
FROM neuron_confound
JOIN model_task ON model_task.id = neuron_confound.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = neuron_confound.neuron_id;
CREATE VIEW neuron_tuning AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, neuron.layer, neuron.neuron, pitch_tuning.peak_rate, pitch_tuning.floor_rate, pitch_tuning.preferred_pitch, pitch_tuning.preferred_low, pitch_tuning.preferred_high, pitch_tuning.center, pitch_tuning.center_low, pitch_tuning.center_high, pitch_tuning.bandwidth_semitones, pitch_tuning.bandwidth_low, pitch_tuning.bandwidth_high, pitch_tuning.octave_equivalence_index, pitch_tuning.oei_low, pitch_tuning.oei_high
FROM pitch_tuning
JOIN model_task ON model_task.id = pitch_tuning.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = pitch_tuning.neuron_id;
CREATE VIEW neuron_preferences AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name, neuron.layer, neuron.neuron, neuron_preference.log_odds, neuron_preference.ci_low, neuron_preference.ci_high
FROM neuron_preference
JOIN model_task ON model_task.id = neuron_preference.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = neuron_preference.neuron_id
JOIN task_class ON task_class.id = neuron_preference.class_id;
CREATE VIEW ablation_specificity AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, specificity.selection, specificity.operation, specificity.gain, specificity.n_neurons, specificity.n_classes, specificity.self_effect, specificity.cross_effect,
       specificity.specificity, specificity.ci_low, specificity.ci_high
FROM specificity
JOIN model ON model.id = specificity.model_id
JOIN task ON task.id = specificity.task_id
JOIN dataset ON dataset.id = task.dataset_id;
CREATE VIEW neuron_attribution AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name, neuron.layer, neuron.neuron,
       CAST(neuron_attribution_value.attribution AS DOUBLE PRECISION) / 1000000 AS attribution, CAST(neuron_attribution_value.standard_error AS DOUBLE PRECISION) / 1000000 AS standard_error,
       neuron_attribution_value.n_clips, attribution.spearman_all,
       attribution.spearman_random, attribution.spearman_highest, attribution.n_checked
FROM neuron_attribution_value
JOIN attribution ON attribution.id = neuron_attribution_value.attribution_id
JOIN model ON model.id = attribution.model_id
JOIN task ON task.id = attribution.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = neuron_attribution_value.neuron_id
JOIN task_class ON task_class.id = neuron_attribution_value.class_id;
CREATE VIEW attribution_checks AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name, neuron.layer, neuron.neuron,
       attribution_check_value.attribution, attribution_check_value.measured, attribution_check_value.in_highest, attribution.n_clips_checked AS n_clips
FROM attribution_check_value
JOIN attribution ON attribution.id = attribution_check_value.attribution_id
JOIN model ON model.id = attribution.model_id
JOIN task ON task.id = attribution.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = attribution_check_value.neuron_id
JOIN task_class ON task_class.id = attribution_check_value.class_id;
CREATE VIEW ablation_flips AS
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection, ablation.target,
       ablation.operation, ablation.gain, ablation_flip.clip_id, clip.path, clip_label.value AS true_class,
       before.name AS predicted_before, after.name AS predicted_after
FROM ablation
JOIN model ON model.id = ablation.model_id
JOIN task ON task.id = ablation.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN ablation_flip ON ablation_flip.ablation_id = ablation.id
JOIN clip ON clip.id = ablation_flip.clip_id
JOIN task_class AS before ON before.id = ablation_flip.predicted_before
JOIN task_class AS after ON after.id = ablation_flip.predicted_after
LEFT JOIN clip_label ON clip_label.clip_id = clip.id AND clip_label.attribute_id = task.attribute_id;
COMMIT;
