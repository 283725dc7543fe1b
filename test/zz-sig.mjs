import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
const dir="/tmp/sig"; rmSync(dir,{recursive:true,force:true}); mkdirSync(dir+"/files",{recursive:true});
for (let n=0;n<40;n++){let t="f"+n; for(let w=n+1;t.length<50000;w=(w*48271)%2147483647)t+=" "+w.toString(36); writeFileSync(`${dir}/files/${n}.txt`,t);}
const lines=f=>existsSync(f)?readFileSync(f,"utf8").trim().split("\n"):[];
const env={...process.env,OMNIQ_DEMO_ACK_LOG:dir+"/ack",OMNIQ_DEMO_RUN_LOG:dir+"/run",OMNIQ_DEMO_DONE_LOG:dir+"/done"};
const c=spawn(process.execPath,["examples/05-compress-folder/main.mjs",dir+"/files","--data",dir+"/data"],{env,stdio:"inherit"});
while(lines(dir+"/done").length<1) await new Promise(r=>setTimeout(r,2));
const t=Date.now();
c.kill("SIGINT"); 
console.log("at signal: ack",lines(dir+"/ack").length,"run",lines(dir+"/run").length,"done",lines(dir+"/done").length);
await new Promise(r=>c.once("exit",r));
console.log("exit after",Date.now()-t,"run",lines(dir+"/run").length,"done",lines(dir+"/done").length);
const {Omniq}=await import("omniq");
const o=await Omniq.open({tasks:[],storage:dir+"/data"});
console.log((await o.stats()).states,(await o.stats()).totals);
const { tasks } = await o.list();
for (const x of tasks) if (x.interruptions||x.state==="completed") console.log(x.id.slice(0,6),x.state,x.attempt,x.interruptions, lines(dir+"/run").includes(x.id));
await o.close();
